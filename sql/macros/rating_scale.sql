-- An aggregate over the values of ratings: the upper end of their scale, the smallest of 1, 5, 10, 100 that covers 99 % of them.
create or replace temp macro rating_scale(value) as list_min(
    list_filter([1, 5, 10, 100, quantile_disc(value, 0.99)], lambda top: top >= quantile_disc(value, 0.99))
)
