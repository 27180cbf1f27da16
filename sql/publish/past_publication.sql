-- The last publication of a model version, with the newest snapshot up to which its weights have learnt.
--
-- grain:   one row, none if the version has never published
-- params:  $version
-- reads:   recs.publications, recs.list_history
-- returns: model_version, champion, mlflow_run_id, checkpoint, checkpoint_sha256, published_at, learnt (null if unknown), hides_seen_items,
--          seen_items_setting, repeat_share, n_items, has_lists (whether past lists reach back to it)
select
    last.model_version,
    coalesce(last.champion, last.model_version) as champion,
    last.mlflow_run_id,
    last.checkpoint,
    last.checkpoint_sha256,
    last.published_at,
    max(last.learnt) over (partition by last.mlflow_run_id) as learnt,
    last.hides_seen_items,
    last.seen_items_setting,
    last.repeat_share,
    last.n_items,
    last.published_at >= (select min(past.published_at) from recs.list_history as past) as has_lists
from recs.publications as last
where last.model_version = $version
order by last.published_at desc, last.publication_id desc
limit 1
