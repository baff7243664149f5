"""The inner loop of a matrix product: a tile of the result, held in the processor's registers.

    c = alpha sum_k a_k b_k^T + beta c

a_k is a column of some rows, b_k a row of some vectors of numbers. numba has no vectors, so the
loop is written in the language of its compiler (LLVM), which also fits it to the processor at hand.
"""

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WIDE = bool(llvm.get_host_cpu_features().get("avx512f"))
VECTOR = 64 if WIDE else 32
"""Bytes of a vector register."""

ROWS = 8 if WIDE else 4
"""Of a tile: with two vectors a row, its sums and what they are made of fit into the registers."""

INT = ir.IntType(64)


def tile(rows: int, vectors: int, bytes_of_vector: int = VECTOR) -> Any:
    """Return a function that computes a tile of so many rows and vectors; 0 bytes: one number.

    Its arguments: the addresses of a, b, c, and by how many bytes the next row of a, the next k in
    a, the next k in b, and the next row of c lie apart; how many k; alpha and beta.
    """

    @intrinsic
    def compute(
        typing: Any, a: Any, b: Any, c: Any, a_row: Any, a_step: Any, b_step: Any, c_row: Any,
        inner: Any, alpha: Any, beta: Any,
    ) -> Any:  # fmt: skip
        size = 8 if alpha is types.float64 else 4
        lanes = max(bytes_of_vector // size, 1)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number = context.get_value_type(alpha)
            builder.call(_function(builder.module, number, (rows, vectors, lanes, size)), arguments)
            return context.get_dummy_value()

        return types.void(*[types.intp] * 8, alpha, alpha), generate

    return compute


def _function(module: Any, number: Any, shape: tuple[int, int, int, int]) -> Any:
    """Return the tile as a function of its own: copied into each product it would take minutes."""
    name = "neuro_aws_tile_" + "_".join(map(str, shape))
    if name in module.globals:
        return module.globals[name]
    kind = ir.FunctionType(ir.VoidType(), [INT] * 8 + [number] * 2)
    function = ir.Function(module, kind, name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    _Loop(builder, ir.VectorType(number, shape[2]), number, shape).emit(*function.args)
    builder.ret_void()
    return function


class _Loop:
    """Writes the instructions of one tile."""

    def __init__(self, builder: Any, vector: Any, number: Any, shape: tuple[int, ...]) -> None:
        self.builder, self.vector, self.number = builder, vector, number
        self.rows, self.vectors, self.lanes, self.size = shape

    def emit(
        self, a: Any, b: Any, c: Any, a_row: Any, a_step: Any, b_step: Any, c_row: Any,
        inner: Any, alpha: Any, beta: Any,
    ) -> None:  # fmt: skip
        """Write the loop over k, then the tile."""
        builder, before = self.builder, self.builder.block
        loop, after = (builder.append_basic_block(name) for name in ("over_k", "tile"))
        builder.branch(loop)
        builder.position_at_end(loop)
        k, at_a, at_b = (builder.phi(INT) for _ in range(3))
        sums = [builder.phi(self.vector) for _ in range(self.rows * self.vectors)]
        for phi, first in ((k, INT(0)), (at_a, a), (at_b, b)):
            phi.add_incoming(first, before)
        for phi in sums:
            phi.add_incoming(self.vector([self.number(0.0)] * self.lanes), before)
        right = [self._load(self._apart(at_b, v), self.vector) for v in range(self.vectors)]
        added, row = [], at_a
        for r in range(self.rows):
            left = self._spread(self._load(row, self.number))
            for v in range(self.vectors):
                term = builder.fmul(left, right[v], flags=["contract"])
                added.append(builder.fadd(sums[r * self.vectors + v], term, flags=["contract"]))
            row = builder.add(row, a_row)
        following = builder.add(k, INT(1))
        steps = (
            (k, following),
            (at_a, builder.add(at_a, a_step)),
            (at_b, builder.add(at_b, b_step)),
        )
        for phi, value in (*steps, *zip(sums, added, strict=True)):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, inner), loop, after)
        builder.position_at_end(after)
        keeps = builder.fcmp_unordered("!=", beta, self.number(0.0))
        with builder.if_else(keeps) as (kept, new):
            with kept:
                self._write(c, c_row, added, alpha, beta)
            with new:  # what is there may be no number yet
                self._write(c, c_row, added, alpha, None)

    def _write(self, c: Any, c_row: Any, sums: list[Any], alpha: Any, beta: Any) -> None:
        builder, factor = self.builder, self._spread(alpha)
        keep = None if beta is None else self._spread(beta)
        for r in range(self.rows):
            for v in range(self.vectors):
                value, at = builder.fmul(factor, sums[r * self.vectors + v]), self._apart(c, v)
                if keep is not None:
                    value = builder.fadd(value, builder.fmul(keep, self._load(at, self.vector)))
                stored = builder.store(value, builder.inttoptr(at, self.vector.as_pointer()))
                stored.align = self.size
            c = builder.add(c, c_row)

    def _apart(self, address: Any, vectors: int) -> Any:
        return self.builder.add(address, INT(vectors * self.lanes * self.size))

    def _load(self, address: Any, kind: Any) -> Any:
        loaded = self.builder.load(self.builder.inttoptr(address, kind.as_pointer()))
        loaded.align = self.size
        return loaded

    def _spread(self, value: Any) -> Any:
        """Return a vector of the same number."""
        nothing = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(nothing, value, ir.IntType(32)(0))
        which = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(one, nothing, which)
