-- What users did with the lists that they were shown during an experiment. Lists for people about whom nothing was known are left out,
-- as they are the same in both arms.
--
-- grain:   one row per user
-- params:  $since, $until (timestamp, UTC)
-- reads:   eval.outcomes
-- returns: user_id, n_shown, n_clicked, n_bought, value, rating, n_rated
select
    shown.user_id,
    count(*)::double as n_shown,
    count(shown.clicked_at)::double as n_clicked,
    count(shown.bought_at)::double as n_bought,
    coalesce(sum(shown.value), 0)::double as value,
    coalesce(sum(shown.rating), 0)::double as rating,
    count(shown.rating)::double as n_rated
from eval.outcomes as shown
where shown.shown_at >= $since
    and shown.shown_at < $until
    and shown.source <> 'popular'
group by shown.user_id
order by shown.user_id
