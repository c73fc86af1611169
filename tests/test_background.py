"""The collector of cycles is left out for a while, and works as before afterwards."""

import gc
import weakref

import pytest

from verify.background import without_garbage_collection


class Node:
    """Something that can hold itself."""


def cycle():
    """Return a weak reference to what only itself holds."""
    node = Node()
    node.itself = node
    return weakref.ref(node)


@pytest.fixture(autouse=True)
def modules_are_no_garbage():
    """In place of the fixture of the other tests: here it counts what is frozen."""
    gc.unfreeze()


def test_nothing_is_searched_inside_and_everything_afterwards():
    with without_garbage_collection():
        assert not gc.isenabled()
        left = cycle()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    assert left() is not None
    gc.collect()
    assert left() is None


def test_what_was_made_inside_is_old():
    with without_garbage_collection():
        made = [Node() for _ in range(1000)]
    old = {id(thing) for thing in gc.get_objects(generation=2)}
    assert all(id(node) in old for node in made)


def test_an_error_leaves_it_enabled():
    with pytest.raises(ValueError, match="on the way"), without_garbage_collection():
        raise ValueError("on the way")
    assert gc.isenabled()


def test_who_had_it_disabled_keeps_it_so():
    gc.disable()
    try:
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_others_froze_stays_frozen():
    gc.freeze()
    try:
        before = gc.get_freeze_count()
        with without_garbage_collection():
            pass
        assert gc.get_freeze_count() > before / 2 > 0  # frozen objects may still end by their reference count
    finally:
        gc.unfreeze()
