-- Comments of tables and columns in plainer words, for lakes whose earlier migrations set other ones; changes no rows.
--
-- grain:   none: sets comments only
comment on table raw.events is 'Events of users, one row per event; append-only';
comment on column raw.events.user_id is 'The user who caused the event';
comment on column raw.events.item_id is 'The item of the event; null for a search';
comment on column raw.events.value is 'The rating, the quantity or the amount; null where the event type needs none';
comment on column raw.events.received_at is 'When the lake ingested the event, UTC';
comment on table raw.items is 'The catalogue, one row per item with its newest description';
comment on column raw.items.first_seen_at is 'When the lake first received the item, UTC';
comment on column raw.items.title is 'The title, shown in every list';
comment on column raw.items.categories is 'Categories, from broad to narrow or in any order';
comment on column raw.items.price is 'The price, in the currency of the source';
comment on table raw.rejected is
'Refused input rows that the lake still lacks, each with its reason; a row that is ingested later leaves the table';
comment on column raw.rejected.source is 'The file that contains the row';
comment on column raw.rejected.line is 'Number of the row in that file, counted from 1 without the header of a CSV';
comment on column raw.rejected.row_json is 'The row as received, as a JSON object';
comment on column raw.rejected.kind is 'Kind of the input row, events or items; null where it was not recorded';
comment on column raw.rejected.value is 'The value that broke the rule, such as a text that is not a time';
comment on column features.item_embeddings.vector is 'The text vector, of unit length';
comment on column features.item_embeddings.encoded_at is 'When the text was encoded, UTC';
comment on column features.user_histories.event_types is 'Event types of the last events, in the order of item_ids';
comment on column features.user_histories.occurred_at is 'Times of the last events, in the order of item_ids, UTC';
comment on column features.user_histories.n_events is 'Number of all events of the user on items, including those not kept here';
comment on column features.user_histories.trends is
'Log of the decayed count (half-life one day) of each item at the time of its event; null where it is unknown';
comment on column features.user_histories.earlier_item_ids is
'Distinct items of events older than those kept here, ordered by id; null where they are unknown';
comment on table recs.recommendations is 'The current list of each user; user * holds the list for unknown users';
comment on column recs.recommendations.user_id is 'The user, or * for unknown users';
comment on column recs.recommendations.probability is 'P(next item | user, time) over the items that the user may be shown';
comment on column recs.recommendations.reason is 'Why the item is in the list, in words';
comment on column recs.recommendations.mlflow_run_id is 'The MLflow run that trained the model version';
comment on column recs.recommendations.flow_run_id is 'The Prefect flow run that published the list';
comment on column recs.recommendations.generated_at is 'When the list was generated, UTC';
comment on column recs.similar_items.similar_item_id is 'The similar item';
comment on column recs.similar_items.generated_at is 'When the row was generated, UTC';
comment on table recs.publications is 'Publications of the recommendation tables, one row each';
comment on column recs.publications.publication_id is 'Unique id of the publication';
comment on column recs.publications.cadence is 'nightly (all users) or minute (users with new events, and some users with stale lists)';
comment on column recs.publications.n_users is 'Number of users whose lists this publication generated';
comment on column recs.publications.n_users_changed is 'Number of users whose first ten items differ from their previous list';
comment on column recs.publications.mlflow_run_id is 'The MLflow run that trained the model version';
comment on column recs.publications.flow_run_id is 'The Prefect flow run that published the lists';
comment on column recs.publications.published_at is 'When the lists were published, UTC';
comment on column recs.publications.champion is
'Nightly version from which the model descends: for an increment its base, otherwise the version itself; null where it was not recorded';
comment on column recs.publications.hides_seen_items is
'Whether lists leave out items that their user already had, as decided for the model version; null where it was not recorded';
comment on column recs.publications.repeat_share is
'Share of the training events of the model version that repeat an earlier pair of user and item';
comment on column eval.offline.evaluated_at is 'When the evaluation ran, UTC';
comment on column eval.offline.high is 'Upper end of the 95 % bootstrap interval over users, where one is given';
comment on column eval.offline.metric is
'ndcg_at_10_served (from a list one minute old), ndcg_at_10, hr_at_10, mrr, coverage_at_10 (with the previous event known); _lift: gain';
comment on table eval.prequential is 'Quality on the events of each minute, predicted before the model learnt from them';
comment on column eval.prequential.metric is
'ndcg_at_10, hr_at_10 or mrr, of the lists before the events, comparable to ndcg_at_10_served in eval.offline';
comment on column eval.prequential.mlflow_run_id is 'The MLflow run that learnt from the events';
comment on column eval.prequential.model is
'live (the model before these events), nightly (the model of the last night) or recent_popular';
comment on column eval.prequential.evaluated_at is 'When the next lists, which include these events, were generated, UTC';
comment on table ops.migrations is 'The schema changes applied to this lake';
comment on column ops.migrations.applied_at is 'When the change was applied, UTC';
comment on table ops.watermarks is 'The last snapshot that each consumer has processed';
comment on column ops.watermarks.consumer is
'published (events are in histories and lists) or learnt (events are in the weights of the live model)';
comment on column ops.watermarks.snapshot is 'The consumer has processed everything up to this snapshot';
comment on column ops.watermarks.updated_at is 'When the watermark moved, UTC';
comment on table ops.freshness is
'Times from an event and from its arrival to the first list that includes it, per publication and user with new events';
comment on column ops.freshness.received_at is 'When the lake ingested the newest event of the user, UTC';
comment on column ops.freshness.occurred_at is
'When the newest live event of the user happened, UTC; an event is live if it arrived within an hour; null where there was none';
comment on column ops.freshness.generated_at is 'When the list was generated, UTC';
comment on table ops.moved_items is
'Items that changed, while lists of inactive users still wait for a refresh; a minute run that refreshes all these lists empties the table';
comment on column ops.moved_items.snapshot is 'The lake snapshot that contains the change; lists from older snapshots do not include it';
comment on column ops.moved_items.moved_at is
'When a minute run found the change, UTC; older lists are refreshed within a day in any case';
comment on view ops.freshness_by_hour is
'Seconds until a list includes the events of its user, by hour (UTC) of the list: arrived_* since arrival; happened_* since the event, '
'for the n_live_users whose events arrived within an hour';
