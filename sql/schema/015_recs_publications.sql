-- What the columns of a publish mean now that some publish a part of the users.
comment on column recs.publications.cadence is 'nightly (all users) or minute (those with news, and some whose lists had grown old)';
comment on column recs.publications.n_users is 'Users whose lists were made by it';
