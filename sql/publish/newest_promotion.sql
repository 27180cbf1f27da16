-- The newest publication, if a person chose its model.
--
-- grain:   one row, none if a night or a minute has published since
-- reads:   recs.publications
-- returns: cadence, model_version, champion, mlflow_run_id, publication_id, is_behind (whether events since its weights wait to be learnt)
select
    newest.cadence,
    newest.model_version,
    coalesce(newest.champion, newest.model_version) as champion,
    newest.mlflow_run_id,
    newest.publication_id,
    coalesce(newest.learnt < newest.data_snapshot, false) as is_behind
from (
    select *
    from recs.publications
    order by published_at desc, publication_id desc
    limit 1
) as newest
where newest.cadence in ('promote', 'rollback')
