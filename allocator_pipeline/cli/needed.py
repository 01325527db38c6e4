"""Versions that must stay because something outside the registry names them."""

from pathlib import Path

from allocator_pipeline.experience.store import ExperienceStore
from allocator_pipeline.registry.pruning import named_by_partitions


def needed_versions(market_dir: Path, allocator: str) -> set[str]:
    """Return the versions that an allocator's decisions and stored partitions name.

    Parameters
    ----------
    market_dir : Path
        A market's folder.
    allocator : str

    Raises
    ------
    StorageError, CorruptArtifactError
        If the experience store or a partition cannot be read.
    """
    decided = ExperienceStore(market_dir / "experience.sqlite").policy_versions(allocator)
    return decided | named_by_partitions(market_dir / "assets", allocator)
