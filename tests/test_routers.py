"""What the documentation says that a router can do is what mrc checks."""

from conftest import TOP
from mrc.routers import ROUTERS
from mrc.schema.router import Router


def test_every_router_of_the_schema_says_what_it_can_do() -> None:
    assert [str(field.alias) for field in Router.model_fields.values()] == list(ROUTERS)


def test_the_page_shows_the_table() -> None:
    page = (TOP / "docs/how-to/routers.md").read_text()
    for name, router in ROUTERS.items():
        able = [router.weights, router.mesh, router.mirror, router.pins, router.grpc]
        assert f"| `{name}` | {' | '.join('yes' if can else 'no' for can in able)} |\n" in page
