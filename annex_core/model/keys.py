"""An AWS access key and its secret, as values that show neither."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Keys:
    access: str = field(repr=False)
    secret: str = field(repr=False)
