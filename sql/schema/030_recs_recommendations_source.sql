-- The column source names the part of the score that lifted each row most.
--
-- grain:   one row per user and rank
comment on column recs.recommendations.source is
'What lifted the row most: sequence, popularity, repeats, new or search; popular for user *, model if it was not recorded';
