"""Transposed convolutions whose backward pass takes V for W. Their W is [C, O / groups, ...]."""

from typing import Any

from torch import Tensor, nn

from asymbp_cli.modules.functions import Geometry
from asymbp_cli.modules.layers import _AsymmetricConvolution


class _AsymmetricConvTranspose(_AsymmetricConvolution):
    output_padding: tuple[int, ...]

    def to_rows(self, values: Tensor) -> Tensor:
        """Return something of W's shape as a matrix with a row for each output of a group."""
        return values.transpose(0, 1).flatten(1)

    def from_rows(self, rows: Tensor) -> Tensor:
        """Return the inverse of `to_rows`."""
        inputs, outputs, *field = self.weight.shape
        return rows.view(outputs, inputs, *field).transpose(0, 1)

    def _prepare(self, x: Tensor) -> tuple[Tensor, Geometry]:
        return x, self._geometry(self.output_padding)

    def _geometry(self, output_padding: tuple[int, ...]) -> Geometry:
        assert not isinstance(self.padding, str)  # torch has no such transposed convolutions
        return Geometry(self.stride, self.padding, self.dilation, True, output_padding, self.groups)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve as torch's transposed convolution does."""
        if self.goes_back_as_torch:
            plain: Tensor = super().forward(input, output_size)
            return plain
        if output_size is None:
            return self._convolve(input, self._geometry(self.output_padding))
        return self._convolve(input, self._geometry(self._output_padding_for(input, output_size)))

    def _output_padding_for(self, input: Tensor, output_size: list[int]) -> tuple[int, ...]:
        layer: Any = self
        arguments = (input, output_size, self.stride, self.padding, self.kernel_size)
        return tuple(layer._output_padding(*arguments, self.dimensions, self.dilation))


class AsymmetricConvTranspose1d(_AsymmetricConvTranspose, nn.ConvTranspose1d):
    """`nn.ConvTranspose1d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 1


class AsymmetricConvTranspose2d(_AsymmetricConvTranspose, nn.ConvTranspose2d):
    """`nn.ConvTranspose2d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 2


class AsymmetricConvTranspose3d(_AsymmetricConvTranspose, nn.ConvTranspose3d):
    """`nn.ConvTranspose3d` whose input gets its error through V. Built by hand its V is W."""

    dimensions = 3
