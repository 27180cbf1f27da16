"""Item-kNN: items are similar if they share users."""

from __future__ import annotations

import copy

import numpy as np
import scipy.sparse as sparse

from models.events import Events, Floats, Ints, ragged_rows

MAX_HISTORY = 200
N_NEIGHBOURS = 100


class ItemKnn:
    """Shrunk cosine between the users of two items; each recent event of a history votes for neighbours, newer ones more.

    Sarwar et al. 2001, "Item-based collaborative filtering recommendation algorithms".
    """

    def __init__(self, train: Events, decay: float = 0.8, shrinkage: float = 5.0) -> None:
        self.decay = decay
        recent = (train.offsets[train.user + 1] - 1 - np.arange(len(train))) < MAX_HISTORY
        seen = sparse.csr_matrix(
            (np.ones(int(recent.sum()), np.float32), (train.user[recent], train.item[recent])), shape=(train.n_users, train.n_items)
        )
        seen.data[:] = 1.0
        counts = np.asarray(seen.sum(0)).ravel()
        self.neighbours = _nearest(seen.T.tocsr(), counts, shrinkage)
        self.popularity = np.bincount(train.item, minlength=train.n_items).astype(np.float32)

    def with_decay(self, decay: float) -> ItemKnn:
        """The same neighbours with another decay per event of history."""
        other = copy.copy(self)
        other.decay = decay
        return other

    def score(self, events: Events, start: Ints, stop: Ints) -> Floats:
        """[rows, items] votes of histories, given as half-open ranges of events; popularity breaks ties and serves empty histories."""
        number, history = ragged_rows(np.maximum(stop - 50, start), stop)
        age = stop[number] - 1 - history
        votes = sparse.csr_matrix(((self.decay**age).astype(np.float32), (number, events.item[history])), shape=(len(stop), events.n_items))
        return (votes @ self.neighbours).toarray() + self.popularity * np.float32(1e-9)


def _nearest(users_of: sparse.csr_matrix, counts: Floats, shrinkage: float, block: int = 1024) -> sparse.csr_matrix:
    """Each item's N_NEIGHBOURS nearest other items, in blocks of rows."""
    users = users_of.T.tocsc()
    blocks = []
    for start in range(0, users_of.shape[0], block):
        common = (users_of[start : start + block] @ users).toarray()
        norm = np.sqrt(counts[start : start + block, None] * counts[None, :])
        similarity = common / (norm + shrinkage)
        similarity[np.arange(len(common)), start + np.arange(len(common))] = 0
        if similarity.shape[1] > N_NEIGHBOURS:
            floor = np.partition(similarity, -N_NEIGHBOURS, axis=1)[:, -N_NEIGHBOURS, None]
            similarity[similarity < floor] = 0
        blocks.append(sparse.csr_matrix(similarity.astype(np.float32)))
    return sparse.vstack(blocks).tocsr()
