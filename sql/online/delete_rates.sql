-- Deletes the rates of hours that are built again and are not as they should be.
--
-- reads:   rates (temporary, as create_rates makes it), eval.online
-- writes:  eval.online
delete from eval.online
where hour in (
    select changed.hour
    from (
        (
            select old.*
            from eval.online as old
            where old.hour in (select rates.hour from rates)
            except
            select rates.*
            from rates
        )
        union all
        (
            select rates.*
            from rates
            where rates.metric is not null
            except
            select old.*
            from eval.online as old
            where old.hour in (select rates.hour from rates)
        )
    ) as changed
)
