"""The simulation makes nothing out of nothing, loses nobody, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.storm.clients import DATABASE, KMS, SECRETS, Measures
from bench.storm.quotas import Loop, Quota
from bench.storm.simulation import SCENARIOS, Scenario, simulate

FEW = 20


@given(st.floats(1, 1000), st.lists(st.tuples(st.floats(0, 2), st.floats(0, 50)), max_size=50))
def test_a_quota_grants_what_has_come_in_and_no_more(rate: float, asked: list[tuple[float, float]]) -> None:
    """One second's worth at first, and the rate from then on; what it refuses it keeps."""
    loop = Loop()
    quota = Quota(loop, rate)
    for pause, units in asked:
        loop.time += pause
        before = quota.granted
        taken = quota.take(units)
        assert quota.granted == (before + units if taken else before)
        assert quota.granted <= rate * (1 + loop.time) * (1 + 1e-9)
    assert quota.granted + quota.refused == pytest.approx(sum(units for _, units in asked))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("kms_rate", [10_000, 5_500])
def test_nobody_is_lost_and_nothing_is_free(scenario: Scenario, kms_rate: float) -> None:
    """Everybody ends, with all secrets or as a failure; whoever has a key was granted it; the quotas were kept."""
    found = simulate(replace(scenario, clients=FEW, kms_rate=kms_rate))
    assert all(outcome.ended is not None for outcome in found.outcomes)
    wanted = SECRETS * (1 if scenario.measures is None or scenario.measures.cache else 4)
    assert all(outcome.decrypts == wanted for outcome in found.outcomes if not outcome.failed)
    assert found.account.kms.granted == sum(outcome.decrypts for outcome in found.outcomes)
    assert found.calls["Decrypt"] == found.account.kms.granted + found.account.kms.refused
    longest = max(outcome.ended or 0.0 for outcome in found.outcomes)
    for quota in (found.account.kms, found.account.index, *found.account.partitions):
        assert quota.granted <= quota.rate * (1 + longest) + 1e-6
    assert len(found.waits) + sum(outcome.failed for outcome in found.outcomes) == FEW


def test_alone_it_waits_for_three_answers() -> None:
    """Index, records, and all Decrypts side by side: no quota is met, nothing is asked twice."""
    found = simulate(Scenario("alone", clients=10, share=1.0))
    assert found.waits == pytest.approx([2 * DATABASE + KMS] * 10)
    assert found.calls == {"Query": 10, "BatchGetItem": 10, "Decrypt": 10 * SECRETS}


def test_the_same_seed_gives_the_same_result() -> None:
    """And another one another."""
    scenario = Scenario("dynastash", clients=FEW)
    assert simulate(scenario, 1).outcomes == simulate(scenario, 1).outcomes
    assert simulate(scenario, 1).outcomes != simulate(scenario, 2).outcomes


@settings(max_examples=10, deadline=None)
@given(st.builds(Measures, *[st.booleans()] * 6), st.integers(0, 5))
def test_any_combination_of_measures_ends(measures: Measures, seed: int) -> None:
    """No client waits for an event that never comes."""
    found = simulate(Scenario("any", measures, clients=5, share=0.002), seed)
    assert all(outcome.ended is not None for outcome in found.outcomes)
