"""What all tests share: how Hypothesis searches."""

from hypothesis import HealthCheck, settings

# No deadline: a slow machine is not a mistake. No database: a run leaves nothing behind.
settings.register_profile(
    "kho",
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("kho")
