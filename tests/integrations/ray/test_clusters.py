"""Example files that start clusters have the form that their readers expect."""

import json
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "ray"

RAY_JOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str},
    "spec": {
        "entrypoint": str,
        "shutdownAfterJobFinishes": bool,
        "backoffLimit": int,
        "rayClusterSpec": {
            "rayVersion": str,
            "enableInTreeAutoscaling": bool,
            "headGroupSpec": {"rayStartParams": dict, "template": dict},
            "workerGroupSpecs": [
                {
                    "groupName": str,
                    "replicas": int,
                    "minReplicas": int,
                    "maxReplicas": int,
                    "rayStartParams": dict,
                    "template": dict,
                }
            ],
        },
    },
}
"""Fields of KubeRay's RayJob, ray.io/v1, as far as the example has them."""

CONTAINER = {"name", "image", "env", "resources", "volumeMounts"}


def check_form(value, form, place=""):
    """Raise unless a value has the types of a form, and no other fields."""
    if isinstance(form, dict):
        assert value.keys() == form.keys(), place
        for name, inner in form.items():
            check_form(value[name], inner, f"{place}.{name}")
    elif isinstance(form, list):
        for one in value:
            check_form(one, form[0], f"{place}[]")
    else:
        assert type(value) is form, place


@pytest.fixture
def load():
    yaml = pytest.importorskip("yaml")
    return lambda name: yaml.safe_load((EXAMPLES / name).read_text())


def test_the_cluster_of_ray_up_fits_its_schema(load):
    import ray
    from jsonschema import validate

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    validate(load("cluster.yaml"), schema)
    with pytest.raises(Exception, match="minworkers"):
        validate({**load("cluster.yaml"), "minworkers": 1}, schema)


def test_the_job_of_kuberay_has_its_fields_and_pods_that_fit_together(load):
    job = load("kuberay.yaml")
    check_form(job, RAY_JOB)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container.keys() <= CONTAINER
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["resources"]["limits"] == container["resources"]["requests"]
        assert volumes == {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}


def test_the_version_of_the_examples_is_one_that_is_supported(load):
    from scdataset.integrations.ray.versions import OLDEST

    version = load("kuberay.yaml")["spec"]["rayClusterSpec"]["rayVersion"]
    assert tuple(map(int, version.split(".")[:2])) >= OLDEST


def test_the_script_for_slurm_is_one_that_bash_reads():
    subprocess.run(["bash", "-n", EXAMPLES / "slurm.sh"], check=True)
