"""Where an estimator's documentation is, for the link in its HTML representation."""


class DocLinkMixin:
    """Lets the question mark in the HTML representation of an estimator lead to its page.

    The attributes are those that scikit-learn reads. They hold for skemo's own estimators: a
    user's subclass has no page and gets no link.
    """

    _doc_link_module = "skemo"
    _doc_link_template = (
        "https://skemo.github.io/skemo/reference/generated/skemo.{estimator_name}.html"
    )
