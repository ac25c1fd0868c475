"""Numbers out of a process's `/metrics`, by name and labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.parser import text_string_to_metric_families

Sample = tuple[Mapping[str, str], float]


class Samples:
    """What one process tells of itself."""

    def __init__(self, text: str) -> None:
        self._by_name: dict[str, list[Sample]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._by_name.setdefault(sample.name, []).append((sample.labels, sample.value))

    def all(self, name: str) -> list[Sample]:
        """Every series of that name."""
        return self._by_name.get(name, [])

    def one(self, name: str, **labels: str) -> float | None:
        """The number, or None if the process does not tell it."""
        return next((value for told, value in self.all(name) if labels.items() <= told.items()), None)

    def label(self, name: str, label: str) -> str:
        """A label of the only series of that name; empty if there is none."""
        return next((told.get(label, "") for told, _ in self.all(name)), "")

    def sum(self, name: str, *, route_apart: str = "", **labels: str) -> float:
        """Over all series that have these labels, but not those whose route begins with `route_apart`."""
        return sum(value for told, value in self._chosen(name, route_apart) if labels.items() <= told.items())

    def quantile(self, name: str, share: float, *, route_apart: str = "") -> float | None:
        """The upper bound of the histogram's bucket in which `share` of everything so far lies; None without any."""
        counts: dict[float, float] = {}
        for told, value in self._chosen(f"{name}_bucket", route_apart):
            bound = float(told["le"])
            counts[bound] = counts.get(bound, 0.0) + value
        total = counts.get(float("inf"), 0.0)
        return next((bound for bound in sorted(counts) if total and counts[bound] >= share * total), None)

    def _chosen(self, name: str, route_apart: str) -> Iterator[Sample]:
        for told, value in self.all(name):
            if not (route_apart and told.get("route", "").startswith(route_apart)):
                yield told, value


class Together:
    """What the replicas of one process tell; None for what none of them tells."""

    def __init__(self, replicas: Sequence[Samples]) -> None:
        self._replicas = replicas

    def most(self, name: str, **labels: str) -> float | None:
        """The highest: of what each replica tells of the same thing."""
        return max(self._told(name, labels), default=None)

    def sum(self, name: str, **labels: str) -> float | None:
        """Of what each replica tells of itself."""
        found = list(self._told(name, labels))
        return sum(found) if found else None

    def _told(self, name: str, labels: Mapping[str, str]) -> Iterator[float]:
        for each in self._replicas:
            if (value := each.one(name, **labels)) is not None:
                yield value
