-- What the model learns an event as: its type; of a rating also whether it is low or high, on a scale that ends at `scale`.
-- Below 3 of 5 stars is low, 4 and more is high.
create or replace temp macro kind_of(event_type, value, scale) as case
    when event_type = 'rating' and value < 0.6 * scale then 'rating:low'
    when event_type = 'rating' and value >= 0.8 * scale then 'rating:high'
    else event_type
end
