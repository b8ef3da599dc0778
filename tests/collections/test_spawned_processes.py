"""Every container goes to a process that starts from nothing: files as paths, which it opens again."""

from tests.children import CONTEXT
from tests.collections.containers import BUILDERS
from tests.collections.reference import N_ROWS
from torch.utils.data import DataLoader

from scdataset import MultiIndexable, Streaming, scDataset

IN_ORDER = [list(range(start, min(start + 4, N_ROWS))) for start in range(0, N_ROWS, 4)]

LEFT_OUT = {
    "MultiIndexable": "its tensors go along by themselves, and torch sends each once",
    "numpy big endian": "pickle turns big-endian arrays into native ones",
}


def send_batches(datasets, connection):
    """Send all batches of each dataset, and wait until they were received: tensors are in shared memory."""
    for dataset in datasets:
        try:
            connection.send(list(dataset))
        except Exception as error:  # noqa: BLE001 all that goes wrong here is to be seen there
            connection.send(error)
    connection.recv()


def test_another_process_reads_every_container(built):
    containers = [built(name) for name in BUILDERS if name not in LEFT_OUT]
    datasets = [container.dataset(Streaming()) for container in containers]
    for dataset in datasets:
        list(dataset)
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=send_batches, args=(datasets, there))
    process.start()
    there.close()  # so that a process that dies is an error here, and no hang
    found = {container.name: here.recv() for container in containers}
    here.send("received")
    process.join()
    failed = {name: batches for name, batches in found.items() if isinstance(batches, Exception)}
    assert not failed
    for container in containers:
        assert [container.rows(batch) for batch in found[container.name]] == IN_ORDER
    assert process.exitcode == 0


def test_workers_that_start_from_nothing_read_many_containers_together(built):
    kinds = ("h5py", "zarr", "memmap", "Ann", "CSR", "datasets", "own", "Multi")
    every = {name: built(name) for name in BUILDERS if name.startswith(kinds)}
    containers = {name: container for name, container in every.items() if not container.warning}
    data = MultiIndexable({name: container.data for name, container in containers.items()})
    dataset = scDataset(data, Streaming(), 4, 2)
    loader = DataLoader(dataset, batch_size=None, num_workers=2, multiprocessing_context=CONTEXT)
    seen = [{name: containers[name].rows(part) for name, part in batch.items()} for batch in loader]
    assert seen == [dict.fromkeys(containers, rows) for rows in IN_ORDER]
