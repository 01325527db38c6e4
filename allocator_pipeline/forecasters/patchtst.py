"""PatchTST forecaster.

Nie, Nguyen, Sinthong & Kalagnanam (2023), "A Time Series is Worth 64 Words", ICLR: patches of days as tokens of a small
transformer. What differs: attention is causal and banded, so that one pass along a chunk gives a target at every token;
position is a learned relative bias that starts as in Press, Smith & Lewis (2022), "Train Short, Test Long" (ALiBi),
because recent days matter more; a token holds all daily channels, and slow ones join at the head. There is no instance
normalisation: over a chunk it would read the future.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from allocator_pipeline.forecasters.channels import daily_first
from allocator_pipeline.forecasters.network import NetworkConfig, NetworkForecaster


@dataclass(frozen=True)
class PatchTSTConfig(NetworkConfig):
    """Hyperparameters, chosen on the planted control."""

    chunk: int = 240
    """Days it is run along at once: the more, the fewer are run along for context alone."""
    stride: int = 5
    """Days in a token."""
    chunks_per_step: int = 4
    """Four chunks of all stocks: fewer cost more a target, more learn less in as many targets."""
    epochs: int = 6
    """About as many steps as four epochs of half the size."""
    warm_epochs: int = 3
    """The same from the weights of the year before."""
    learning_rate: float = 3e-3
    """Peak of the one-cycle schedule."""
    weight_decay: float = 0.5
    """Strong: the signal is weak."""
    width: int = 16
    """Size of a token's embedding."""
    feed_forward: int = 32
    """Hidden units of the feed-forward part."""
    layers: int = 2
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    band: int = 12
    """Tokens a token attends to, itself included: 60 days."""
    dropout: float = 0.2
    """After attention and feed-forward."""

    @property
    def reach(self) -> int:
        """Days up to a decision that its forecast reads: each layer looks one band further back."""
        return self.layers * self.band * self.stride


class SequenceDropout(nn.Module):
    """Dropout with one draw for all tokens of a sequence (Gal & Ghahramani 2016, arXiv:1512.05287).

    Draws for every token were a sixth of the cost of training.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Map (B, S, width) to (B, S, width)."""
        if not self.training:
            return tokens
        kept = torch.rand(tokens.shape[0], 1, tokens.shape[2]).ge_(self.share)
        return tokens * kept.div_(1.0 - self.share)


@lru_cache(maxsize=8)
def lags(blocks: int, band: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far back tokens lie, where a block of ``band`` tokens sees itself and the block before it.

    Returns
    -------
    tuple of Tensor
        ``which``, shape (band, band * 2 band): 1 where the second token of a pair lies so many tokens behind the first;
        and ``banned``, shape (blocks, band, 2 band): minus infinity where it lies ahead, out of the band or before the
        first token, else 0.
    """
    with torch.inference_mode(False):  # kept for training too, whoever asks first
        lag = torch.arange(band)[:, None] + band - torch.arange(2 * band)
        which = (lag.flatten() == torch.arange(band)[:, None]).float()
        banned = torch.zeros(blocks, band, 2 * band).masked_fill((lag < 0) | (lag >= band), -torch.inf)
        banned[0, :, :band] = -torch.inf
        return which, banned


class Layer(nn.Module):
    """One pre-norm transformer layer with banded causal attention."""

    def __init__(self, config: PatchTSTConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)
        slopes = 0.5 ** torch.arange(1, config.heads + 1)
        self.position = nn.Parameter(-slopes[:, None] * torch.arange(config.band))
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.feed_forward),
            nn.GELU(),
            nn.Linear(config.feed_forward, config.width),
        )
        self.dropout = SequenceDropout(config.dropout)

    def forward(self, tokens: torch.Tensor, skip: int = 0) -> torch.Tensor:
        """Map (B, S, width) to (B, S - skip, width): the first tokens are read, but nobody reads what they become."""
        mixed = self.out(self.attend(tokens, skip))
        tokens = tokens[:, skip:] + self.dropout(mixed)
        return tokens + self.dropout(self.feed_forward(tokens))

    def attend(self, tokens: torch.Tensor, skip: int) -> torch.Tensor:
        """Mix the values of the tokens in the band, in blocks as long as the band: cost is linear in the tokens."""
        batch, length, width = tokens.shape
        band = self.position.shape[1]
        blocks, first = -(-length // band), skip // band
        qkv = nn.functional.pad(self.qkv(self.attention_norm(tokens)), (0, 0, 0, blocks * band - length))
        split = qkv.view(batch, blocks, band, 3, self.heads, width // self.heads)
        query, key, value = split.permute(3, 0, 4, 1, 2, 5).contiguous()  # (B, heads, blocks, band, size)
        query = query[:, :, first:] * query.shape[-1] ** -0.5
        key, value = (self._with_block_before(each, first) for each in (key, value))
        which, banned = lags(blocks, band)
        bias = (self.position @ which).view(self.heads, 1, band, 2 * band) + banned[first:]
        # Written out: for heads of four numbers it is faster than torch's fused attention.
        mixed = torch.softmax(query @ key.transpose(-1, -2) + bias, -1) @ value
        return mixed.permute(0, 2, 3, 1, 4).reshape(batch, -1, width)[:, skip - first * band : length - first * band]

    @staticmethod
    def _with_block_before(tokens: torch.Tensor, first: int) -> torch.Tensor:
        """Return each block from ``first`` on behind the one before it, (B, heads, blocks - first, 2 band, size)."""
        before = tokens[:, :, first - 1 : -1] if first else nn.functional.pad(tokens, (0, 0, 0, 0, 1, -1))
        return torch.cat([before, tokens[:, :, first:]], dim=-2)


class PatchTSTNetwork(nn.Module):
    """Embedding, layers, and a linear head on each token that starts at zero."""

    def __init__(self, config: PatchTSTConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.daily, self.slow = daily_first(config.channels)
        self.embedding = nn.Linear(len(self.daily) * config.stride, config.width)
        with torch.no_grad():  # every day of a token weighs the same at first
            by_day = self.embedding.weight.view(config.width, len(self.daily), config.stride)
            by_day.copy_(by_day[..., :1].expand_as(by_day))
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width + len(self.slow), 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, inputs: torch.Tensor, skip: int = 0) -> torch.Tensor:
        """Map (B, C, days) to one score a token, (B, days / stride - skip), without the first ones."""
        daily = inputs[:, self.daily].unflatten(-1, (-1, self.stride))  # (B, channels, tokens, stride)
        tokens = self.embedding(daily.transpose(1, 2).flatten(2))
        *lower, last = self.layers
        for layer in lower:
            tokens = layer(tokens)
        tokens = last(tokens, skip)
        slow = inputs[:, self.slow, self.stride - 1 :: self.stride].transpose(1, 2)[:, skip:]  # at a token's last day
        return self.head(torch.cat([self.norm(tokens), slow], dim=-1)).squeeze(-1)


class PatchTSTForecaster(NetworkForecaster):
    """Scores every token of five days from the tokens before it."""

    name = "patchtst"
    config_type = PatchTSTConfig
    wanted = ("return", "overnight", "high", "low", "volume", "return_20", "return_60", "return_252", "volume_20")

    def build(self) -> nn.Module:
        """Return a fresh network."""
        return PatchTSTNetwork(self.config)
