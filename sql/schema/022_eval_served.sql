-- What the figures of both eval tables say: of lists as users get them, or with the event before known.
comment on column eval.offline.metric is
'ndcg_at_10_served (served: from lists one minute old); ndcg_at_10, hr_at_10, mrr, coverage_at_10 (previous event known); _lift: gain';
comment on column eval.prequential.metric is
'ndcg_at_10, hr_at_10 or mrr of the lists before the events, like ndcg_at_10_served in eval.offline';
