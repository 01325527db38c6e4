"""LSTM forecaster.

Hochreiter & Schmidhuber (1997), "Long Short-Term Memory", Neural Computation 9(8), with dense targets: one forward pass
along 120 days gives 60 training targets of every stock. Daily channels are read as a sequence; slow ones join at the
head, because they already hold what a memory would have to carry for a year.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from allocator_pipeline.forecasters.channels import daily_first
from allocator_pipeline.forecasters.network import NetworkConfig, NetworkForecaster


@dataclass(frozen=True)
class LSTMConfig(NetworkConfig):
    """Hyperparameters, chosen on the planted control."""

    hidden: int = 32
    """Hidden units of the single layer."""
    forget_bias: float = 1.0
    """Initial bias of the forget gate: start by remembering (Jozefowicz, Zaremba & Sutskever 2015)."""


class LSTMNetwork(nn.Module):
    """One LSTM layer and a linear head that starts at zero, so that the first forecast is "no opinion"."""

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.daily, self.slow = daily_first(config.channels)
        self.lstm = nn.LSTM(len(self.daily), config.hidden)
        self.head = nn.Linear(config.hidden + len(self.slow), 1)
        with torch.no_grad():  # gates are stored in the order input, forget, cell, output
            bias = dict(self.lstm.named_parameters())["bias_ih_l0"]
            bias[config.hidden : 2 * config.hidden].fill_(config.forget_bias)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: torch.Tensor, skip: int = 0) -> torch.Tensor:
        """Map (B, C, days) to one score a day, (B, days - skip), without the first ones."""
        series = inputs.permute(2, 0, 1)
        hidden, _ = self.lstm(series[..., self.daily])
        return self.head(torch.cat([hidden[skip:], series[skip:, :, self.slow]], dim=-1)).squeeze(-1).T


class LSTMForecaster(NetworkForecaster):
    """Scores every day from the days before it."""

    name = "lstm"
    config_type = LSTMConfig
    wanted = ("return", "volume", "return_20", "return_60", "return_252", "volume_20")

    def build(self) -> nn.Module:
        """Return a fresh network."""
        return LSTMNetwork(self.config)
