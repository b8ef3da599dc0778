#!/usr/bin/env bash
# Training on SLURM by torchrun, without Ray: a script train.py of yours, in which the dataset finds rank and size by
# itself. It saves dataset.state_dict() beside the model, and loads it where it begins again.
#
#     sbatch slurm.sh
#SBATCH --job-name=cells
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=96
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail
ulimit -n 65536
# What one process of a node learned of the files helps the others of it: on a disk of its own.
export SCDATASET_CACHE_DIR="${TMPDIR:-/tmp}/scdataset"
# The 8 processes of a node share its cores.
export SCDATASET_CORES=$((SLURM_CPUS_PER_TASK / 8))
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun \
    --nnodes="$SLURM_NNODES" \
    --nproc-per-node=8 \
    --max-restarts=3 \
    --rdzv-id="$SLURM_JOB_ID" \
    --rdzv-backend=c10d \
    --rdzv-endpoint="$head:29500" \
    train.py
