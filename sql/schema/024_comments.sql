-- Comments in plain English for lakes that older versions created; new lakes get the same texts.
comment on column raw.events.event_id is 'Unique id; hash of the row if the source gives none';
comment on column raw.events.user_id is 'The user';
comment on column raw.events.item_id is 'The item; null for a search';
comment on column raw.events.value is 'Rating, quantity or amount; null if the event type has none';
comment on column raw.events.query is 'Search text; null for other events';
comment on column raw.events.occurred_at is 'Time of the event, UTC';
comment on column raw.events.received_at is 'Time of ingest into the lake, UTC';
comment on column raw.events.context is 'Further attributes as a JSON object';
comment on table raw.items is 'The catalogue: one row per item, with its latest description';
comment on column raw.items.first_seen_at is 'Time of the first ingest of the item, UTC';
comment on column raw.rejected.source is 'Input file of the row';
comment on column raw.rejected.line is 'Row number in the file, from 1; the header of a CSV does not count';
comment on column raw.rejected.row_json is 'The original row as a JSON object';
comment on column raw.rejected.rejected_at is 'Time of the rejection, UTC';
comment on column raw.rejected.kind is 'events or items; null in rows from before this column existed, if unknown';
comment on column raw.rejected.value is 'The value that breaks the rule';
comment on column raw.rejected.reason is 'Rule and remedy; the same text for every row that breaks the rule';
comment on table raw.rejected is 'Rejected input rows, each with its reason; a row leaves the table when a later ingest accepts it';
comment on column features.item_embeddings.vector is 'Text vector of unit length';
comment on column features.item_embeddings.encoded_at is 'Time of encoding, UTC';
comment on column features.user_histories.n_events is 'Number of all item events of the user, including those not kept here';
comment on column features.user_histories.trends is
'Log of the decayed count (half-life one day) of each item at the time of its event; null if unknown';
comment on column features.user_histories.earlier_item_ids is
'Distinct items of older events that are not kept here, ordered by id; null if unknown';
comment on table recs.recommendations is 'Recommended items of each user; user * is the list for unknown users';
comment on column recs.recommendations.user_id is 'The user, or * for unknown users';
comment on column recs.recommendations.reason is 'Explanation in words';
comment on column recs.recommendations.generated_at is 'Time of scoring, UTC';
comment on column recs.similar_items.generated_at is 'Time of scoring, UTC';
comment on column recs.publications.cadence is 'nightly (all users) or minute (users with new events, and some users with stale lists)';
comment on column recs.publications.n_users is 'Number of users with a list in this publication';
comment on column recs.publications.n_users_changed is 'Users whose top ten differs from their previous list';
comment on column recs.publications.published_at is 'Time of publication, UTC';
comment on column recs.publications.champion is
'Nightly version that the model is based on: its own version, unless it is an increment; null if unknown';
comment on column recs.publications.hides_seen_items is 'Whether lists exclude items that the user already had; null if unknown';
comment on column recs.publications.repeat_share is 'Share of training events that repeat an earlier pair of user and item';
comment on column eval.offline.high is 'Upper end of that interval';
comment on column eval.offline.evaluated_at is 'Time of evaluation, UTC';
comment on column eval.offline.metric is
'ndcg_at_10_served (served: from lists one minute old); ndcg_at_10, hr_at_10, mrr, coverage_at_10 (previous event known); _lift: gain';
comment on column eval.prequential.metric is
'ndcg_at_10, hr_at_10 or mrr of the lists before the events, like ndcg_at_10_served in eval.offline';
comment on column eval.prequential.model is
'live (before it learnt these events), nightly (as the last night trained it) or recent_popular';
comment on column ops.migrations.name is 'File name in sql/schema, without its extension';
comment on column ops.migrations.applied_at is 'Time of the migration, UTC';
comment on table ops.watermarks is 'Watermark of each consumer: the last snapshot of the lake that it has processed';
comment on column ops.watermarks.snapshot is 'Everything up to this snapshot is processed';
comment on column ops.watermarks.updated_at is 'Time of the last change, UTC';
comment on table ops.freshness is
'Delay from the newest event of a user, and from its arrival, to the list that includes it, per publication and user with new events';
comment on column ops.freshness.received_at is 'Time of ingest of the newest event of the user, UTC';
comment on column ops.freshness.occurred_at is
'Time of the newest live event of the user, UTC; live: ingested within an hour of the event; null if there is none';
comment on column ops.freshness.generated_at is 'Time of scoring, UTC';
comment on table ops.moved_items is 'Changed items whose lists wait for a refresh; a minute that refreshes all of them empties the table';
comment on column ops.moved_items.snapshot is 'Lake snapshot in which the change was found; lists from older snapshots do not include it';
comment on column ops.moved_items.moved_at is
'Time when a minute run found the change, UTC; older lists are refreshed within a day in any case';
