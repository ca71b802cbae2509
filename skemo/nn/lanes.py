"""Vectors with one number for each of several windows, for functions compiled by Numba.

A feature map is an array of shape (n_tiles, n_places, n_channels, LANES), with `LANES` windows
along its last axis. An operation on such vectors compiles to one or two processor instructions,
and the edges of a map need no special treatment.

The compiler may neither reorder sums nor fuse operations. Otherwise the results of a function and
of its copy within another function could differ in their last bits, and would depend on whether a
process compiles the functions or loads them from the cache.
"""

import operator
from typing import Any

from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.extending import intrinsic, models, overload, register_model

# How many single-precision numbers fit into an AVX-512 register or, without AVX-512, an AVX one.
LANES = 16 if get_host_cpu_features().get("avx512f", False) else 8

# With the annotations of `intrinsic`, a type checker would ask callers to pass `typingctx`.
_operation: Any = intrinsic

compiled: Any = njit(cache=True, nogil=True, error_model="numpy")
# Compiling a helper as a part of its callers takes less time than compiling it by itself.
inlined: Any = njit(nogil=True, error_model="numpy", inline="always")


class Lanes(types.Type):
    """The type of a vector of `LANES` numbers."""

    def __init__(self, dtype: types.Float) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


def _vector(dtype):
    return ir.VectorType(_scalar(dtype), LANES)


def _scalar(dtype):
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


def _spread(builder, dtype, value):
    """Return a vector with the same number in all lanes."""
    empty = ir.Constant(_vector(dtype), ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, places)


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _vector(fe_type.dtype))


def _place(context, builder, array, value, index):
    """Return a pointer to an element of an array, by its index in the flattened array."""
    data = context.make_array(array)(context, builder, value).data
    return builder.gep(data, [index])


@_operation
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """Return the vector that begins at an index of the flattened array."""

    def codegen(context, builder, signature, args):
        vector = _vector(array.dtype)
        pointer = _place(context, builder, array, *args)
        pointer = builder.bitcast(pointer, vector.as_pointer())
        return builder.load(pointer, align=array.dtype.bitwidth // 8, typ=vector)

    return Lanes(array.dtype)(array, types.intp), codegen


@_operation
def store(typingctx: Any, array: Any, index: Any, lanes: Any) -> Any:
    """Write a vector to an array, beginning at an index of the flattened array."""

    def codegen(context, builder, signature, args):
        pointer = _place(context, builder, array, *args[:2])
        pointer = builder.bitcast(pointer, _vector(array.dtype).as_pointer())
        builder.store(args[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@_operation
def spread(typingctx: Any, array: Any, index: Any) -> Any:
    """Return a vector with an element of the flattened array in all lanes."""

    def codegen(context, builder, signature, args):
        pointer = _place(context, builder, array, *args)
        value = builder.load(pointer, align=array.dtype.bitwidth // 8, typ=_scalar(array.dtype))
        return _spread(builder, array.dtype, value)

    return Lanes(array.dtype)(array, types.intp), codegen


@_operation
def fill(typingctx: Any, array: Any, value: Any) -> Any:
    """Return a vector with the same number in all lanes, of the same dtype as an array."""

    def codegen(context, builder, signature, args):
        number = context.cast(builder, args[1], value, array.dtype)
        return _spread(builder, array.dtype, number)

    return Lanes(array.dtype)(array, value), codegen


@_operation
def _add(typingctx: Any, a: Any, b: Any) -> Any:
    def codegen(context, builder, signature, args):
        return builder.fadd(*args)

    return a(a, a), codegen


@_operation
def _subtract(typingctx: Any, a: Any, b: Any) -> Any:
    def codegen(context, builder, signature, args):
        return builder.fsub(*args)

    return a(a, a), codegen


@_operation
def _multiply(typingctx: Any, a: Any, b: Any) -> Any:
    def codegen(context, builder, signature, args):
        return builder.fmul(*args)

    return a(a, a), codegen


@_operation
def multiply_add(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return `a * b + c`, rounded once where the processor has an instruction for it."""

    def codegen(context, builder, signature, args):
        vector = _vector(a.dtype)
        name = f"llvm.fmuladd.v{LANES}f{a.dtype.bitwidth}"
        function = ir.FunctionType(vector, [vector] * 3)
        return builder.call(builder.module.declare_intrinsic(name, (), function), args)

    return a(a, a, a), codegen


@overload(operator.iadd)
@overload(operator.add)
def _plus(a, b):
    if isinstance(a, Lanes):
        return lambda a, b: _add(a, b)


@overload(operator.sub)
def _minus(a, b):
    if isinstance(a, Lanes):
        return lambda a, b: _subtract(a, b)


@overload(operator.mul)
def _times(a, b):
    if isinstance(a, Lanes):
        return lambda a, b: _multiply(a, b)


@_operation
def larger(typingctx: Any, a: Any, b: Any) -> Any:
    """Return the larger of two numbers in each lane, or NaN where the first is NaN."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered("<", *args), args[1], args[0])

    return a(a, a), codegen


@_operation
def equal(typingctx: Any, a: Any, b: Any) -> Any:
    """Return 1 in each lane in which two vectors are equal, and 0 elsewhere."""

    def codegen(context, builder, signature, args):
        one, zero = (ir.Constant(_vector(a.dtype), [x] * LANES) for x in (1.0, 0.0))
        return builder.select(builder.fcmp_ordered("==", *args), one, zero)

    return a(a, a), codegen


@_operation
def where_larger(typingctx: Any, x: Any, y: Any, a: Any, b: Any) -> Any:
    """Return the numbers of `a` where `x` is larger than `y`, and those of `b` elsewhere."""

    def codegen(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args[:2]), *args[2:])

    return a(a, a, a, a), codegen


@_operation
def total(typingctx: Any, a: Any) -> Any:
    """Return the sum over the lanes."""

    def codegen(context, builder, signature, args):
        values, n = args[0], LANES
        empty = ir.Constant(_vector(a.dtype), ir.Undefined)
        while n > 1:
            n //= 2
            half = [n + i if i < n else 0 for i in range(LANES)]
            places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), half)
            values = builder.fadd(values, builder.shuffle_vector(values, empty, places))
        return builder.extract_element(values, ir.Constant(ir.IntType(32), 0))

    return a.dtype(a), codegen


@_operation
def totals(
    typingctx: Any,
    array: Any,
    index: Any,
    a: Any,
    b: Any,
    c: Any,
    d: Any,
    e: Any,
    f: Any,
    g: Any,
    h: Any,
) -> Any:
    """Sum eight vectors over their lanes; write the sums to the flattened array from `index` on."""

    def codegen(context, builder, signature, args):
        vectors = args[2:]
        n = LANES  # adjacent lanes that still belong to the same sum
        while n > LANES // 8:
            n //= 2
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [_halve(builder, *pair, n) for pair in pairs]
        (vector,) = vectors
        while n > 1:
            n //= 2
            vector = _halve(builder, vector, vector, n)
        eight = ir.Constant(ir.VectorType(ir.IntType(32), 8), list(range(8)))
        vector = builder.shuffle_vector(vector, vector, eight)
        pointer = _place(context, builder, array, *args[:2])
        pointer = builder.bitcast(pointer, vector.type.as_pointer())
        builder.store(vector, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, *[a] * 8), codegen


def _halve(builder, a, b, n):
    """Join two vectors, and add every second group of `n` lanes to the group before it."""
    starts = range(0, 2 * LANES, 2 * n)
    first = [start + i for start in starts for i in range(n)]
    halves = []
    for places in (first, [i + n for i in first]):
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), places)
        halves.append(builder.shuffle_vector(a, b, mask))
    return builder.fadd(*halves)
