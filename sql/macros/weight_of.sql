-- The weight of what an event is learnt as, from parallel lists of types and weights; 1 for a type that is not listed. Low and high
-- ratings have the weight of ratings.
create or replace temp macro weight_of(kind, event_types, weights) as coalesce(
    weights[list_position(event_types, case when kind in ('rating:low', 'rating:high') then 'rating' else kind end)], 1.0
)
