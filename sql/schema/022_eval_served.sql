-- What the figures of both eval tables say: of lists as users get them, or with the event before known.
comment on column eval.offline.metric is
'ndcg_at_10_served (lists a minute old, as users get them), ndcg_at_10, hr_at_10, mrr, coverage_at_10 (event before known); _lift: gain';
comment on column eval.prequential.metric is
'ndcg_at_10, hr_at_10 or mrr, of the lists as they stood before the events, as ndcg_at_10_served is in eval.offline';
