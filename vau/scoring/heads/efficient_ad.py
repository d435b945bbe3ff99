"""The three networks of EfficientAD and the anomaly maps that they give: what a student cannot copy is new.

A patch-description teacher knows pictures at large, a student learned to copy it on normal frames only, and an
autoencoder learned what a whole normal frame looks like. Source: Batzner, Heckler and Koenig, EfficientAD (WACV 2024),
sections 3.1 to 3.4. Ours: all widths (a CPU trains it in minutes), "same" padding, a decoder of four steps in place of
seven, and an input of any fixed size. The networks know no files and no time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MULTIPLE = 32  # both sides of the input must be multiples of it


class PatchDescription(nn.Module):
    """Describes the 33 x 33 pixels around every fourth pixel by four convolutions (section 3.1, the small network)."""

    def __init__(self, outputs: int, width: int = 32) -> None:
        """Builds the network.

        Args:
            outputs: channels of the description.
            width: channels of the first layer; the paper's small network has 128.
        """
        super().__init__()
        self.layers = nn.Sequential(
            *_same(3, width),
            nn.ReLU(),
            nn.AvgPool2d(2),
            *_same(width, 2 * width),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            *_same(2 * width, outputs),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (B, 3, H, W), about zero mean and unit deviation, to descriptions (B, outputs, H/4, W/4)."""
        return self.layers(images)


class FrameAutoencoder(nn.Module):
    """Predicts the teacher's map from the whole frame through a narrow bottleneck (section 3.3)."""

    def __init__(self, outputs: int, height: int, width: int, channels: int = 32, latent: int = 64) -> None:
        """Builds the network.

        Args:
            outputs: channels of the teacher.
            height: of the input in pixels, a multiple of 32.
            width: of the input in pixels, a multiple of 32.
            channels: of the inner layers; the paper's has 32 and 64.
            latent: size of the bottleneck, the paper's 64.
        """
        super().__init__()
        grid = (height // MULTIPLE, width // MULTIPLE)
        self.encoder = nn.Sequential(
            *_halving(3, channels),
            *_halving(channels, channels),
            *_halving(channels, 2 * channels),
            *_halving(2 * channels, 2 * channels),
            *_halving(2 * channels, 2 * channels),
            nn.Conv2d(2 * channels, latent, grid),
        )
        self.spread = nn.ConvTranspose2d(latent, 2 * channels, grid)
        self.decoder = nn.ModuleList(nn.Conv2d(2 * channels, 2 * channels, 3, padding=1) for _ in range(4))
        self.last = nn.Conv2d(2 * channels, outputs, 3, padding=1)
        self.dropout = nn.Dropout(0.2)

    def forward(self, images: Tensor) -> Tensor:
        """Maps images (B, 3, H, W) to predicted descriptions (B, outputs, H/4, W/4)."""
        grid = functional.relu(self.spread(self.encoder(images)))
        for index, layer in enumerate(self.decoder):
            grid = self.dropout(functional.relu(layer(grid)))
            if index < 3:  # from a 32nd of the input to a quarter
                grid = functional.interpolate(grid, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(grid)


def _same(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    """Returns a convolution of 4 x 4 pixels that keeps the size; torch would copy the input to pad it unevenly."""
    return nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(inputs, outputs, 4)


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()


class EfficientAd(nn.Module):
    """Teacher, student and autoencoder with the statistics that make their maps comparable."""

    mean: Tensor
    deviation: Tensor
    quantiles: Tensor

    def __init__(
        self, height: int, width: int, *, outputs: int = 64, channels: int = 32, temporal: bool = True
    ) -> None:
        """Builds the networks.

        Args:
            height: of the input in pixels, a multiple of 32.
            width: of the input in pixels, a multiple of 32.
            outputs: channels of the teacher; the paper has 384.
            channels: width of all networks.
            temporal: whether the input's three channels are three successive moments in grey; kept for the caller.
        """
        super().__init__()
        if height < MULTIPLE or width < MULTIPLE or height % MULTIPLE or width % MULTIPLE:
            raise ValueError(f"height and width must be multiples of {MULTIPLE}, got {height} x {width}")
        self.arguments = {
            "height": height,
            "width": width,
            "outputs": outputs,
            "channels": channels,
            "temporal": temporal,
        }
        self.teacher = PatchDescription(outputs, channels)
        self.student = PatchDescription(2 * outputs, channels)
        self.autoencoder = FrameAutoencoder(outputs, height, width, channels)
        self.register_buffer("mean", torch.zeros(outputs))  # of the teacher's channels on normal frames
        self.register_buffer("deviation", torch.ones(outputs))
        self.register_buffer("quantiles", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))  # 0.9 and 0.995, of either map

    def describe(self, images: Tensor) -> Tensor:
        """Returns the teacher's descriptions (B, outputs, H/4, W/4), each channel normalised; carries no gradient."""
        with torch.no_grad():
            described: Tensor = self.teacher(images)
            return (described - self.mean[:, None, None]) / self.deviation[:, None, None]

    def raw_maps(self, images: Tensor) -> Tensor:
        """Returns both squared-error maps (B, 2, H/4, W/4): student against teacher, autoencoder against student."""
        outputs = len(self.mean)
        copied = self.student(images)
        local = (self.describe(images) - copied[:, :outputs]).square().mean(1)
        whole = (self.autoencoder(images) - copied[:, outputs:]).square().mean(1)
        return torch.stack([local, whole], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Returns normalised anomaly maps (B, 2, H/4, W/4) for images (B, 3, H, W).

        A map's value is 0 at the 0.9 quantile and 0.1 at the 0.995 quantile of held-out normal pixels (section 3.4);
        the paper's score map is the mean of both.
        """
        low, high = self.quantiles[:, 0, None, None], self.quantiles[:, 1, None, None]
        return 0.1 * (self.raw_maps(images) - low) / (high - low).clamp_min(1e-9)
