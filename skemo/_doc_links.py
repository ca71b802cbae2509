"""Links from the HTML representation of estimators to their documentation."""


class DocLinkMixin:
    """Links the question mark in the HTML representation of an estimator to its page.

    scikit-learn reads these attributes. A user's subclass has no page and gets no link.
    """

    _doc_link_module = "skemo"
    _doc_link_template = (
        "https://skemo.github.io/skemo/reference/generated/skemo.{estimator_name}.html"
    )
