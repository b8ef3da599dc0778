"""WorkerAssignment: what each worker gave after some batches, against going round one batch at a time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from scdataset.schedule.worker_assignment import WorkerAssignment

assignments = st.builds(WorkerAssignment, st.integers(0, 300), st.integers(1, 20), st.integers(1, 7))


def taken_one_by_one(assignment, batches):
    """Return the steps in the order in which a DataLoader takes them, what each worker gave, and whose turn is next."""
    given, turn, steps = [0] * assignment.n_workers, 0, []
    while len(steps) < batches:
        if given[turn] < assignment.n_steps_of(turn):
            steps += [step for run in assignment.steps(turn, given[turn], given[turn] + 1) for step in run]
            given[turn] += 1
        turn = (turn + 1) % assignment.n_workers
    return steps, given, turn


@settings(max_examples=examples(300))
@given(assignment=assignments)
def test_all_steps_are_dealt_once(assignment):
    dealt = [
        step
        for worker in range(assignment.n_workers)
        for run in assignment.steps(worker, 0, assignment.n_steps_of(worker))
        for step in run
    ]
    assert sorted(dealt) == list(range(assignment.n_steps))


@settings(max_examples=examples(500))
@given(assignment=assignments, data=st.data())
def test_what_was_given_has_a_closed_form(assignment, data):
    batches = data.draw(st.integers(0, assignment.n_steps))
    steps, given, turn = taken_one_by_one(assignment, batches)
    counts, next_turn = assignment.given(batches)
    assert counts == given
    active = [worker for worker in range(assignment.n_workers) if given[worker] < assignment.n_steps_of(worker)]
    in_turn = [(worker - turn) % assignment.n_workers for worker in active]
    in_closed_form = [(worker - next_turn) % assignment.n_workers for worker in active]
    assert sorted(active, key=lambda w: in_turn[active.index(w)]) == sorted(
        active, key=lambda w: in_closed_form[active.index(w)]
    )
    done, runs = assignment.taken(batches)
    assert sorted([*range(done), *(step for run in runs for step in run)]) == sorted(steps)


def test_a_billion_steps_take_no_loop():
    assignment = WorkerAssignment(10**12 + 5, 64, 3)
    counts, turn = assignment.given(10**12 - 999)
    assert sum(counts) == 10**12 - 999
    assert max(counts) - min(counts) <= 1
    assert turn == 1
    assert len(assignment.taken(10**12 - 999)[1]) <= 9
