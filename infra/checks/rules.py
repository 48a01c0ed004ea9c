"""All rules about the expanded template. Each yields a line for every fault that it finds."""

from collections.abc import Callable, Iterator, Mapping

from infra.checks import access, alarms, exposure, functions, pool, state, wiring
from infra.checks.document import Document

Rule = Callable[[Document], Iterator[str]]

ALL: tuple[Rule, ...] = (
    access.roles_name_their_rights,
    access.rights_are_those_that_are_used,
    access.functions_have_the_role_of_their_name,
    access.roles_are_taken_by_whom_they_are_for,
    exposure.nobody_is_let_in_by_a_resource,
    exposure.buckets_are_private,
    exposure.everything_is_reached_by_tls,
    exposure.everything_is_encrypted,
    exposure.instances_are_closed,
    exposure.metadata_is_out_of_reach,
    exposure.pages_are_named,
    exposure.clients_show_keys,
    exposure.accesses_are_logged,
    functions.handlers_exist,
    functions.environments_are_read,
    functions.environments_are_complete,
    functions.webhooks_go_where_they_are_allowed,
    functions.secrets_go_to_whom_they_are_for,
    functions.links_lead_to_the_api,
    functions.time_outs_fit,
    functions.functions_are_called,
    functions.logs_end,
    state.the_table_is_that_of_the_port,
    state.the_table_outlives_accidents,
    state.queues_lead_to_dead_letters,
    state.doorbells_fit_leases,
    state.the_bucket_forgets_only_what_is_unfinished,
    state.deleted_objects_come_back_for_a_while,
    pool.the_front_door_stands_alone,
    pool.the_pool_is_optional,
    pool.the_pool_grows_by_steps,
    pool.the_pool_shrinks_only_to_zero,
    pool.instances_follow_their_workers,
    pool.workers_end_in_time,
    alarms.alarms_watch_what_they_are_named_for,
    alarms.stranded_jobs_are_told,
    alarms.alarms_reach_somebody,
    alarms.the_budget_is_watched,
    alarms.the_dashboard_shows_what_there_is,
    wiring.references_lead_somewhere,
    wiring.rules_use_the_functions_of_rules,
    wiring.nothing_goes_in_circles,
    wiring.conditions_are_kept,
    wiring.outputs_tell_what_a_worker_needs,
)
RULES: Mapping[str, Rule] = {rule.__name__: rule for rule in ALL}


def faults(document: Document) -> Iterator[tuple[str, str]]:
    """(rule, what is wrong) for every fault of every rule.

    A rule that stumbles over a template has found that something is not as it should be.
    """
    for name, rule in RULES.items():
        try:
            yield from ((name, fault) for fault in rule(document))
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as stumbled:
            yield name, f"stumbled: {stumbled!r}"
