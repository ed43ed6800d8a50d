// Sign election and disjoint merge over the entries of several updates, all in registers: every number is converted
// once per use and nothing is written but the result. Sums are made in double precision in the order of the operands,
// products are rounded before they are added: the same bits on every CPU.
#pragma once

enum cvector_vote { CVECTOR_VOTE_SUM, CVECTOR_VOTE_COUNT };
enum cvector_reduction { CVECTOR_MEAN, CVECTOR_WEIGHTED_MEAN, CVECTOR_SUM, CVECTOR_MAX };

/// y[e] = scale · reduction over the operands i whose sign(votes[i] · x_i[e]) is the elected one of weights[i] · x_i[e].
/// S = Σ votes[i] · x_i[e], or of the signs alone; where S = 0 the elected sign is `zero_sign` (±1, or 0 for none).
/// x_i[e] stands at x[i][offset + e].
void cvector_elect_and_merge(enum cvector_vote vote, enum cvector_reduction reduction, long n, long operands,
                             const float *const *x, long offset, const double *votes, const double *weights,
                             double zero_sign, double scale, float *y);

/// Σ sign(S) over the entries.
long cvector_elected_balance(enum cvector_vote vote, long n, long operands, const float *const *x, long offset,
                             const double *votes);
