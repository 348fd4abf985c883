"""Which nodes a user is told to go on from after a run that did not finish: those that Kedro names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.io import CachedDataset, DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import runner
from kedro_datasets.pandas import CSVDataset

from kedro_doltdb.journal.edges import shortened
from kedro_doltdb.run.resume import nodes_to_resume_from


def chain(*edges: tuple[str, str, str]) -> Pipeline:
    """Return a pipeline of nodes, each given as its name, its inputs and its outputs."""
    return Pipeline(
        [
            node(lambda *args: args, inputs.split() or None, outputs.split(), name=name)
            for name, inputs, outputs in edges
        ]
    )


def catalog(*kept: str, memory: tuple[str, ...] = ()) -> DataCatalog:
    files = {name: CSVDataset(filepath=f"{name}.csv") for name in kept}
    return DataCatalog({**files, **{name: MemoryDataset() for name in memory}})


PIPELINE = chain(
    ("one", "raw params:ratio", "a m"),
    ("two", "a parameters", "b"),
    ("three", "m b", "c"),
    ("four", "raw", "d"),
)


@pytest.mark.parametrize(
    ("kept", "finished", "advice"),
    [
        ("raw a m b c d", "", []),
        ("raw a m b c d", "one", ["four", "two"]),
        ("raw a m b c d", "one two", ["four", "three"]),
        ("raw a m b c d", "one two four", ["three"]),
        ("raw a m b c d", "one two three four", []),
        # `m` has gone with the process, so its node runs again, and what comes after it.
        ("raw a b c d", "one two four", ["one"]),
        ("raw a b c d", "one two", []),
        ("raw a m c d", "one two four", ["two"]),
    ],
)
def test_the_first_nodes_whose_inputs_are_there(kept: str, finished: str, advice: list[str]) -> None:
    for memory in ((), tuple({"m", "b"} - set(kept.split()))):
        found = nodes_to_resume_from(PIPELINE, catalog(*kept.split(), memory=memory), finished.split())
        assert found == advice


def test_names_as_the_journal_has_them_and_transcoded_datasets() -> None:
    long = "n" * 300
    assert len(shortened(long)) < 300
    pipeline = chain((long, "raw", "a@csv"), ("two", "a@parquet", "b"))
    found = nodes_to_resume_from(pipeline, catalog("raw", "a@csv", "a@parquet", "b"), [shortened(long)])
    assert found == ["two"]
    in_memory = catalog("raw", "b")
    in_memory["a@parquet"] = CachedDataset(CSVDataset(filepath="x"))
    assert nodes_to_resume_from(pipeline, in_memory, [shortened(long)]) == []


@given(st.data())
def test_it_is_what_kedro_advises(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 8))
    edges = []
    for number in range(size):
        before = data.draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        edges.append((f"node{number}", " ".join(["raw", *(f"d{n}" for n in sorted(before))]), f"d{number}"))
    pipeline = chain(*edges)
    kept = data.draw(st.sets(st.integers(0, size - 1)))
    datasets = catalog("raw", *(f"d{number}" for number in kept))
    # Whatever has finished, what it needs has finished before.
    last = data.draw(st.sets(st.integers(0, size - 1)))
    finished = {found.name for number in last for found in pipeline.to_nodes(f"node{number}").nodes}
    unfinished = [found for found in pipeline.nodes if found.name not in finished]
    ours = nodes_to_resume_from(pipeline, datasets, finished)
    theirs = sorted(runner._find_nodes_to_resume_from(pipeline, unfinished, datasets)) if unfinished else []
    everything = theirs and len(pipeline.from_nodes(*theirs).nodes) == size
    assert ours == ([] if everything else theirs)
