"""Experiment: searches as tokens of the transformer's sequence, on the simulated shop: python -m bench.search_tokens SEED.

Scratch code that replaces functions of the evaluation at run time. Prints NDCG@10 of the lists without searches (plain), with the term of the
score (term), with tokens (token) and with both, and paired differences; val and test from complete histories, valserved by lists that are
60 seconds old.
"""
# ruff: noqa
# mypy: ignore-errors
import pickle, sys, time, logging, math
from dataclasses import replace, dataclass
import numpy as np, torch, torch.nn.functional as F
torch.set_num_threads(1)
logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
from torch import nn
from models.config import *
from models import night
from models.events import Events, Windows, target_windows, windows_as_users, offsets_of
from models.device import autocast
from models.sequence.recommender import Recommender
from models.sequence.streams import bucket_by_length, make_batch
from models.sequence.weights import Weights, LIST_DELAY_S
from models.sequence.whitening import Whitening
from models.training import training as tr
from models.training.loss import catalog_cross_entropy, ROWS
import models.sequence.users as U
import models.evaluation.blend_choice as bc, models.evaluation.evaluator as evm, models.evaluation.search_choice as sc, models.evaluation.words_choice as wc, models.evaluation.comparison as cmp
from models.training.prior_fit import fit_prior
from models.ranking.prior import slot_log_prior
from models.metrics.intervals import mean_difference
from models.evaluation.comparison import rank_recommender

import tempfile
from pathlib import Path
from bench.searches import read_shop
from models.simulation.shop import ShopConfig, simulate
from tasks.night.learning import learn
from tasks.night.words import item_words
seed=int(sys.argv[1]); epochs=int(sys.argv[2]) if len(sys.argv)>2 else 12; init="white"
with tempfile.TemporaryDirectory() as folder:
    lake,data,log=read_shop(simulate(ShopConfig(),seed),EncoderConfig(),Path(folder))
    items=item_words(lake,data)
learnt=learn(data,RecommenderConfig(),TrainConfig(max_epochs=epochs,minutes=600.0),EvaluationConfig(),seed,searches=log)
task=learnt.task; evaluator=task.evaluator; ev=evaluator.events; S=evaluator.searches; n_items=ev.n_items

def mix(ev,S):
    user=np.concatenate([ev.user,S.user]); tm=np.concatenate([ev.time,S.time])
    is_s=np.concatenate([np.zeros(len(ev),int),np.ones(len(S),int)])
    order=np.lexsort((np.arange(len(user)),is_s,tm,user))   # an event first at equal times: a search at t does not explain a click at t
    item=np.concatenate([ev.item,n_items+S.text])[order]
    kind=np.concatenate([ev.kind,np.full(len(S),ev.n_kinds)])[order]
    w=np.concatenate([ev.weight,np.zeros(len(S),np.float32)])[order].astype(np.float32)
    m=Events(user[order],item,kind,tm[order],w,max(ev.n_users,int(user.max())+1),n_items+len(S.vectors),ev.n_kinds+1)
    where=np.empty(len(user),np.int64); where[order]=np.arange(len(user))
    return m,where[:len(ev)]
M,WHERE=mix(ev,S)

class Tok(Recommender):
    """`table` holds items and the searches' vectors"""
    def __init__(self,config,text,n_kinds,generator,searched,init):
        super().__init__(config,text,n_kinds+1,generator)
        self.register_buffer("searched",searched); self.init=init
        d=config.dim
        if init=="white":   # whitened like items, a residual head
            last=nn.Linear(d,d); nn.init.zeros_(last.weight); nn.init.zeros_(last.bias)
            self.project=nn.Sequential(nn.Linear(d,d),nn.GELU(),last)
        else:
            self.project=nn.Linear(searched.shape[1],d)
    def table(self,items):
        p=self.searched+self.project(self.searched) if self.init=="white" else self.project(self.searched)
        return torch.cat([items,F.normalize(p,dim=1)])

def step_loss(model,batch,events,offsets,items=None):
    row=batch.rows.numpy().ravel()
    place=np.flatnonzero(batch.is_target.numpy())
    teaching=place[events.weight[row[place]]>0]
    if not len(teaching): return sum(p.sum()*0 for p in model.parameters())
    place=teaching
    n_padded=-len(place)%ROWS
    place=np.pad(place,(0,n_padded),mode="edge"); row=row[place]
    weight=events.weight[row]; weight[len(place)-n_padded:]=0
    target=torch.from_numpy(events.item[row])
    its=model.items()
    states=model.encode(model.table(its),batch.item,batch.kind,batch.event_time,batch.query_time,batch.is_start,batch.place)
    return catalog_cross_entropy(states.flatten(0,1).index_select(0,torch.from_numpy(place)).to(offsets.prior.dtype),its.to(offsets.prior.dtype),target,torch.from_numpy(weight),offsets.prior,torch.from_numpy(offsets.slot[row]))

@torch.inference_mode()
def user_vectors(model,events,windows,batch_events=16384,now=0):
    model.eval(); states,rows=[],[]
    with autocast(torch.device("cpu")):
        table=model.table(model.items())
        for which in bucket_by_length(windows.length,batch_events):
            b=make_batch(events,windows,which,now)
            out=model.encode(table,b.item,b.kind,b.event_time,b.query_time,b.is_start,b.place)
            states.append(out[b.is_target].float()); rows.append(b.rows[b.is_target].numpy())
    row=np.concatenate(rows); o=np.argsort(row,kind="stable")
    return torch.cat(states)[torch.from_numpy(o)],row[o]

plain_target,plain_served=U.target_vectors,evm.served_vectors
def target_vectors(model,events,rows):
    if not isinstance(model,Tok): return plain_target(model,events,rows)
    assert len(events)==len(ev)
    r=WHERE[rows]
    v,c=user_vectors(model,M,target_windows(M,r,model.config.max_events))
    return v[torch.from_numpy(np.searchsorted(c,r))]
def served_vectors(model,evaluator,rows):
    if not isinstance(model,Tok): return plain_served(model,evaluator,rows)
    t0=M.time.min(); span=int(M.time.max()-t0)+evaluator.delay_s+1
    key=M.user*span+M.time-t0
    r=WHERE[rows]; start=M.offsets[M.user[r]]
    asked=M.user[r]*span+M.time[r]-t0-evaluator.delay_s
    stop=np.clip(np.searchsorted(key,asked,side="right"),start,r)
    start=np.maximum(start,stop-model.config.max_events)
    H=windows_as_users(M,Windows(start,start,stop)); off=offsets_of(H,len(rows))
    with patched(): return U.vectors_at(model,H,off[:-1],off[1:],M.time[r])
class patched:
    def __enter__(s): s.old=U.user_vectors; U.user_vectors=user_vectors
    def __exit__(s,*a): U.user_vectors=s.old
for m in (night,bc,sc,wc,cmp,evm,U):
    if hasattr(m,"target_vectors"): m.target_vectors=target_vectors
    if hasattr(m,"served_vectors"): m.served_vectors=served_vectors

def fit_tok(init):
    cfg,tc=RecommenderConfig(),TrainConfig(max_epochs=epochs,minutes=600.0)
    until=task.split.validation_from; past=ev.before(until)
    n_trained=np.bincount(past.item,minlength=n_items)
    wh=Whitening.fit(data.text,cfg.dim,n_trained>0)
    gen=torch.manual_seed(seed)
    sv=wh.apply(S.vectors) if init=="white" else S.vectors
    model=Tok(cfg,torch.from_numpy(wh.apply(data.text)),ev.n_kinds,gen,torch.from_numpy(np.ascontiguousarray(sv,dtype=np.float32)),init)
    prior=fit_prior(past,evaluator.slots)
    rows=night.sample(task.validation,night.MAX_JUDGE_ROWS,seed)
    judge=night.make_judge(evaluator,rows,prior)
    off=night.training_offsets(past,evaluator.slots,prior,torch.device("cpu"))
    Mp=M.before(until)
    wanted=np.unique(evaluator.slots.of(past.time))
    slot=np.clip(np.searchsorted(wanted,evaluator.slots.of(Mp.time)),0,len(wanted)-1)
    off=replace(off,slot=slot)
    tr.step_loss=step_loss
    t=time.time()
    curve=tr.train(model,Mp,off,tc,seed=seed,judge=judge)
    print("trained",time.time()-t,max(curve.validation))
    w=night.to_weights(model,ev,night.sample(task.validation,night.MAX_BLEND_ROWS,seed),n_trained)
    return w,bc.choose_blend(evaluator,w,task.validation,until,seed)

def evaluate(w,b,words):
    out={}
    out["val"]=rank_recommender(evaluator,w,b,task.validation,words).ndcg_at_10
    t=task.rank(lambda e,r: rank_recommender(e,w,b,r,words))
    out["test"]=t.ndcg_at_10; out["served"]=t.ndcg_at_10_served
    sv=evaluator.by_lists_of_before(LIST_DELAY_S)
    out["valserved"]=rank_recommender(sv,w,b,task.validation,words).ndcg_at_10
    return out

if __name__=="__main__":
    from models.text.encoder import load_encoder
    from tasks.night.words import fit_words, make_lessons, judged_requests, encoded as enc
    reader=load_encoder(EncoderConfig(),torch.device("cpu"))
    words=fit_words(data.text,items,reader,seed,make_lessons(data.text,items,reader,seed))
    rows,asked=judged_requests(learnt,items,seed); q=enc(reader,asked)
    def with_term(w,b):
        x=wc.choose_weights(evaluator,w,b,words,rows,q,asked)
        return replace(x,search=sc.choose_search_gate(evaluator,w,b,x,task.validation,seed))
    res={}
    w0,b0=learnt.fit.weights,learnt.fit.blend
    res["plain"]=evaluate(w0,b0,None)
    x0=with_term(w0,b0); print("gate term",x0.search,x0.weight)
    res["term"]=evaluate(w0,b0,x0)
    w1,b1=fit_tok(init)
    res["token"]=evaluate(w1,b1,None)
    x1=with_term(w1,b1); print("gate token",x1.search)
    res["both"]=evaluate(w1,b1,x1)
    U_={"val":ev.user[task.validation],"valserved":ev.user[task.validation],"test":ev.user[task.test],"served":ev.user[task.test]}
    has={k:evaluator.asked(task.validation if k.startswith("val") else task.test).vectors.any(1) for k in U_}
    for k in U_:
        print(k,{n:round(float(r[k].mean()),4) for n,r in res.items()}, "after a search",{n:round(float(r[k][has[k]].mean()),4) for n,r in res.items()})
        for a,b in (("term","plain"),("token","plain"),("token","term"),("both","term")):
            g=mean_difference(res[a][k],res[b][k],U_[k],1000,seed); print(f"   {a}-{b} {g.difference:+.4f} ({g.low:+.4f} {g.high:+.4f})",flush=True)
