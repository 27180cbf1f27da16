-- The weight of an event type, from parallel lists of types and weights; 1 for a type that is not listed.
create or replace temp macro weight_of(event_type, event_types, weights) as coalesce(weights[list_position(event_types, event_type)], 1.0)
