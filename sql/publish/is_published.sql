-- Whether a model version has ever published lists, as the live version or as the challenger of the current experiment.
--
-- grain:   one row
-- params:  $version
-- reads:   recs.publications, ops.experiments
-- returns: is_published
select
    exists (select 1 from recs.publications as p where p.model_version = $version)
    or exists (
        select 1
        from ops.experiments as e
        where $version in (e.arm_version, e.next_version)
            and e.state <> 'stopped'
    ) as is_published
