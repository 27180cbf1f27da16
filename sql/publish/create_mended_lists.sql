-- The past lists with items that may not be shown any more, without these. They are filled up from the list for unknown users, with the
-- score of the last item that stays. Where a scenario caps categories, they stay short.
--
-- grain:   one row per scenario and user
-- reads:   past_lists (temporary: as create_past_lists makes it), blocked_items (temporary: scenario, user_id, item_ids),
--          in_tables (temporary: scenario, is_capped)
-- returns: the temporary table mended_lists, with the columns of recs.list_history; a list may be empty
create or replace temp table mended_lists as
with placed as (
    select
        past.*,
        blocked.item_ids as blocked,
        list_filter(range(1, len(past.item_ids) + 1), lambda place: not list_contains(blocked.item_ids, past.item_ids[place])) as places
    from past_lists as past
    inner join blocked_items as blocked
        on past.scenario = blocked.scenario
            and past.user_id = blocked.user_id
),

kept as (
    select
        placed.* replace (
            list_select(placed.item_ids, placed.places) as item_ids,
            list_select(placed.scores, placed.places) as scores,
            list_select(placed.sources, placed.places) as sources,
            list_select(placed.reasons, placed.places) as reasons,
            list_select(placed.slots, placed.places) as slots,
            list_select(placed.propensities, placed.places) as propensities
        ),
        placed.scores[1] as first_score,
        list_concat(placed.blocked, placed.item_ids) as taken,
        len(placed.item_ids) - len(placed.places) as n_missing
    from placed
),

anyone as (
    select
        past.scenario,
        coalesce(kept.item_ids, past.item_ids) as item_ids,
        coalesce(kept.scores, past.scores) as scores,
        coalesce(kept.sources, past.sources) as sources,
        coalesce(kept.reasons, past.reasons) as reasons
    from past_lists as past
    inner join in_tables
        on past.scenario = in_tables.scenario
            and not in_tables.is_capped
    left join kept
        on past.scenario = kept.scenario
            and past.user_id = kept.user_id
    where past.user_id = '*'
),

chosen as (
    select
        kept.* replace (
            list_filter(
                range(1, len(anyone.item_ids) + 1),
                lambda place: not list_contains(kept.taken, anyone.item_ids[place])
            )[1:kept.n_missing] as places
        ),
        anyone.item_ids as other_ids,
        anyone.scores as other_scores,
        anyone.sources as other_sources,
        anyone.reasons as other_reasons
    from kept
    left join anyone
        on kept.scenario = anyone.scenario
            and kept.user_id <> '*'
),

filled as (
    select
        chosen.* exclude (blocked, places, taken, n_missing, other_ids, other_scores, other_sources, other_reasons) replace (
            list_concat(chosen.item_ids, list_select(chosen.other_ids, chosen.places)) as item_ids,
            list_concat(
                chosen.scores, list_transform(chosen.places, lambda place: coalesce(chosen.scores[-1], chosen.other_scores[place]))
            ) as scores,
            list_concat(chosen.sources, list_select(chosen.other_sources, chosen.places)) as sources,
            list_concat(chosen.reasons, list_select(chosen.other_reasons, chosen.places)) as reasons,
            list_concat(chosen.slots, list_transform(chosen.places, lambda place: 'ranked')) as slots,
            list_concat(chosen.propensities, list_transform(chosen.places, lambda place: 1::float)) as propensities
        )
    from chosen
)

select
    filled.* exclude (first_score)
    replace ((filled.probability * exp(filled.scores[1] - filled.first_score))::float as probability)
from filled
