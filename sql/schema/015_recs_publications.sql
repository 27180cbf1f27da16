-- What the columns of a publish mean now that some publish a part of the users.
comment on column recs.publications.cadence is 'nightly (all users) or minute (users with new events, and some users with stale lists)';
comment on column recs.publications.n_users is 'Number of users with a list in this publication';
