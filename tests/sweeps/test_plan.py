import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jssl.errors import InputError
from jssl.jaxprs.work import work_of
from jssl.sweeps.costs import Cost
from jssl.sweeps.grid import make_grid, split
from jssl.sweeps.plan import choose_plan, chunks, count_chunks, from_json, runs_of, to_json
from jssl.sweeps.programs import Spec
from jssl.sweeps.run import lanes_of
from jssl.sweeps.study import make_study
from jssl.sweeps.workload import Machine, Workload

MACHINE = Machine("cpu", 2, 4e9)


def problem(width=4, rate=0.1, noise=0.1, loss="a", max_width=None): ...


def grid_of(axes):
    return make_grid(make_study(problem, axes, [0]))


def planned(grid, machine, cost_of, *, steps, records, exact=lambda _: True, **layout):
    record_steps = np.linspace(0, steps, records).astype(int)
    study = grid.study._replace(record_steps=record_steps, **layout)
    workload = Workload(grid._replace(study=study), Spec(problem), {}, machine, {})
    return choose_plan(workload, cost_of, exact)


def cost(compile=2.0, step=lambda width: 1e-9 * width**2, **more):
    def of(program):
        fields = dict(program.static)
        width = fields.get("max_width") or fields.get("width", 4)
        held = {"traffic": 1e4, "state": 1e3, "record": 1e3, **more}
        return Cost(step(width), compile, **held)

    return of


@pytest.mark.parametrize("seeds", [1, 7, 64, 1000])
@pytest.mark.parametrize("limit", [1e-3, 0.1, 20.0])
def test_chunks_cover_every_run_once_and_fit_their_lanes(seeds, limit):
    axes = {"width": [4, 8], "rate": [0.1, 0.2, 0.3], "loss": ["a", "b"], "seed": seeds}
    grid = grid_of(axes)
    plan = planned(grid, MACHINE, cost(), steps=1000, records=5, chunk_seconds=limit)
    seen = np.zeros(grid.shape, int)
    found = list(chunks(plan))
    for chunk in found:
        layout = plan.layouts[chunk.layout]
        assert layout.lanes % (MACHINE.devices * layout.micro) == 0
        runs = runs_of(chunk)
        for start in range(0, len(runs), layout.lanes):  # a chunk may take several calls
            part = runs[start : start + layout.lanes]
            index, seed = lanes_of(part, layout.lanes)
            assert len(index) == len(seed) == layout.lanes
            assert (index[len(part) :] == part[0, :-1]).all()
            np.add.at(seen, (*index[: len(part)].T, seed[: len(part)]), 1)
    assert (seen == 1).all()
    assert len({c.name for c in found}) == len(found) == count_chunks(plan)


def test_tiles_are_whole_blocks_of_the_stored_arrays():
    grid = grid_of({"rate": [0.1, 0.2, 0.3], "noise": [0.1, 0.2], "seed": 100})
    plan = planned(grid, MACHINE, cost(), steps=10**6, records=5, chunk_seconds=5.0)
    sizes = (*plan.blocks, plan.seed_block)
    for chunk in chunks(plan):
        for tile in chunk.tiles:
            for piece, size, length in zip(tile.slices, sizes, grid.shape, strict=True):
                assert piece.start % size == 0
                assert piece.stop == min(piece.start + size, length)


@pytest.mark.parametrize(("compile", "padded"), [(2.0, True), (0.0, False)])
def test_widths_are_padded_together_where_compiling_costs_more_than_running(compile, padded):
    grid = grid_of({"width": [16, 32, 64], "seed": 8})
    plan = planned(grid, MACHINE, cost(compile), steps=100, records=5)
    assert bool(plan.bins) is padded
    assert len(plan.layouts) == (1 if padded else 3)


def test_a_width_too_costly_to_pad_to_keeps_a_program_of_its_own():
    grid = grid_of({"width": [16, 32, 4096], "seed": 64})
    plan = planned(grid, MACHINE, cost(2.0), steps=1000, records=5)
    assert plan.bins == {16: 32, 32: 32, 4096: 4096}
    assert [dict(x.program.static) for x in plan.layouts] == [{"max_width": 32}, {"width": 4096}]


def test_the_chosen_grouping_of_widths_is_the_best_of_all():
    widths = [8, 16, 64, 100, 300]
    grid = grid_of({"width": widths, "seed": 10})
    of = cost(0.5, lambda w: 3e-9 * w**2)
    steps = 500

    def total(bins):
        programs = split(grid, bins)
        return sum(0.5 + of(p).step * p.points * 10 * steps / 2 for p in programs)

    def groupings(rest):
        if not rest:
            yield []
        for k in range(1, len(rest) + 1):
            for more in groupings(rest[k:]):
                yield [rest[:k], *more]

    every = [{w: g[-1] for g in way for w in g} for way in groupings(widths)]
    plan = planned(grid, MACHINE, of, steps=steps, records=5)
    assert total(plan.bins) == pytest.approx(min(map(total, every)))


def test_a_padding_that_is_not_exact_is_not_used():
    grid = grid_of({"width": [16, 32], "seed": 8})
    plan = planned(grid, MACHINE, cost(), steps=10, records=5, exact=lambda _: False)
    assert plan.bins == {}


def test_a_call_never_needs_more_memory_than_there_is():
    grid = grid_of({"seed": 10**6})
    small = Machine("gpu", 1, 1e9)
    plan = planned(grid, small, cost(traffic=1e6, record=1e5), steps=10, records=5)
    assert plan.layouts[0].lanes * (1e6 + 1e5) < 1e9


def test_a_run_that_cannot_fit_in_memory_says_what_would():
    grid = grid_of({"width": [8], "seed": 2})
    with pytest.raises(
        InputError, match=r"width=8 needs about 9 GB .* 2.3 times less: take a smaller"
    ):
        planned(grid, MACHINE, cost(traffic=9e9), steps=10, records=5)


def test_a_million_runs_are_planned_within_ten_seconds():
    started = time.process_time()
    for axes in (
        {
            "rate": list(np.linspace(0.1, 1, 100)),
            "noise": list(np.linspace(0, 1, 100)),
            "seed": 100,
        },
        {"rate": list(np.linspace(0.1, 1, 10**6)), "seed": 1},
        {"loss": [f"l{i}" for i in range(1000)], "seed": 1000},
    ):
        grid = grid_of(axes)
        assert grid.runs == 10**6
        plan = planned(grid, MACHINE, cost(), steps=1000, records=20)
        assert sum(1 for _ in chunks(plan)) == count_chunks(plan)
    assert time.process_time() - started < 10


def test_a_stored_plan_is_the_same_plan():
    grid = grid_of({"width": [16, 32], "rate": [0.1, 0.2], "seed": 50})
    plan = planned(grid, MACHINE, cost(), steps=100, records=5)
    again = from_json(plan.workload, json.loads(json.dumps(to_json(plan))))
    assert list(chunks(again)) == list(chunks(plan))
    assert [x.lanes for x in again.layouts] == [x.lanes for x in plan.layouts]


def test_a_long_chunk_is_cut_into_segments():
    grid = grid_of({"seed": 2})
    plan = planned(grid, MACHINE, cost(step=lambda _: 1e-3), steps=10**6, records=100)
    assert 1 <= plan.segment < 100


def test_what_a_loop_repeats_is_work_as_often_and_compiled_once():
    def turns(x, count):
        return jax.lax.scan(lambda x, _: (jnp.sin(x) @ x, None), x, length=count)[0]

    few, many = (
        work_of(jax.make_jaxpr(turns, static_argnums=1)(jnp.ones((4, 4)), n).jaxpr)[0]
        for n in (2, 20)
    )
    assert many.operations == 10 * few.operations
    assert many.products == 10 * few.products
    assert many.equations == few.equations == 2
