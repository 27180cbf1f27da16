-- The live publication, which is the newest one.
--
-- grain:   one row, or none
-- reads:   recs.publications
-- returns: cadence, model_version, champion, mlflow_run_id, flow_run_id, data_snapshot, n_users, n_users_changed, n_items, published_at,
--          hides_seen_items, seen_items_setting, repeat_share
select
    cadence,
    model_version,
    champion,
    mlflow_run_id,
    flow_run_id,
    data_snapshot,
    n_users,
    n_users_changed,
    n_items,
    published_at,
    hides_seen_items,
    seen_items_setting,
    repeat_share
from recs.publications
order by published_at desc, publication_id desc
limit 1
