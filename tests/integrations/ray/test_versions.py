"""Ray that is missing or too old."""

import sys

import pytest

import scdataset.integrations.ray as ray_integration
from scdataset import MissingDependencyError
from scdataset.integrations.ray.versions import ray_library


def test_ray_that_is_missing_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"Training needs .*; run: pip install 'ray\[data,train\]>=2.60'"):
        ray_library("ray.train", "Training")


def test_a_library_of_ray_that_lacks_its_dependencies_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray.train", None)
    with pytest.raises(MissingDependencyError, match=r"Training needs .*ray\.train.*; run: pip install"):
        ray_library("ray.train", "Training")


@pytest.mark.parametrize("name", ray_integration.__all__)
def test_every_public_name_says_so_where_ray_is_missing(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=rf"^scdataset\.integrations\.ray\.{name} needs ray"):
        getattr(ray_integration, name)


@pytest.mark.parametrize("version", ["2.9.3", "2.59.1", "1.13.0"])
def test_a_ray_that_is_too_old_is_named_with_its_version(monkeypatch, version):
    import ray

    monkeypatch.setattr(ray, "__version__", version)
    with pytest.raises(MissingDependencyError, match=rf"\(Ray {version} is installed\); run: pip install"):
        ray_library("ray", "Training")


@pytest.mark.parametrize("version", ["2.60.0", "2.61.0.dev0", "3.0.0"])
def test_later_versions_are_taken(monkeypatch, version):
    import ray

    monkeypatch.setattr(ray, "__version__", version)
    assert ray_library("ray", "Training") is ray
