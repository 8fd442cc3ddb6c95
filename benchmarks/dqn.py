"""Steps a second of Deep Q-learning on CartPole-v1: through runner against loops in the style of CleanRL's one file.

    python benchmarks/dqn.py [--rounds 5] [--steps 10000]

Both loops act epsilon-greedily, remember each step in arrays, and train every ten steps on 128 remembered ones with
Adam. "plain" steps the environment itself; "vector" wraps it as CleanRL does, one environment in a SyncVectorEnv that
records episodes. All take turns in every round; validation is left out. What is printed are medians.
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

import gymnasium
import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from runner.build import build_data, build_task
from runner.config.compose import compose
from runner.models.dqn import DQN
from runner.training.callbacks import ShowProgress
from runner.training.checkpoint import AtomicWriter
from runner.training.history import History
from runner.training.lightning import silence
from runner.training.train import build_trainer

EVERY, ROWS, WARM_UP, REFRESH, DISCOUNT, SIZE = 10, 128, 1000, 500, 0.99, 50_000
EPSILON_END, EPSILON_STEPS = 0.05, 5000


def through_runner(steps: int) -> float:
    """Steps a second of `runner model=dqn`, the same sizes."""
    cfg = compose(["model=dqn", f"data.steps={steps}", f"data.batch_size={EVERY}", "trainer.max_epochs=1",
                   "trainer.accelerator=cpu", "+trainer.limit_val_batches=0", "callbacks={}", "task.double=false",
                   "task.clip_errors=false",
                   f"task.replay_rows={ROWS}", f"task.warm_up={WARM_UP}", f"task.refresh={REFRESH // EVERY}",
                   f"task.epsilon_end={EPSILON_END}", f"task.epsilon_steps={EPSILON_STEPS}",
                   f"task.memory_size={SIZE}"])  # fmt: skip
    OmegaConf.resolve(cfg)
    torch.manual_seed(0)
    data, task, progress, writer = build_data(cfg), build_task(cfg), ShowProgress(), AtomicWriter()
    data.setup()
    task.connect(data)
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(cfg, Path(folder), task, History(), [progress], writer)
        task.fit(trainer, data)
        writer.wait()
    return steps / progress.seconds


def by_hand(steps: int, vector: bool) -> float:
    """Steps a second of a loop written by hand, without its warm-up."""
    torch.manual_seed(0)
    made = gymnasium.make("CartPole-v1", disable_env_checker=True)
    if vector:
        made = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.wrappers.RecordEpisodeStatistics(made)])
    net, target = DQN(4, 2), DQN(4, 2)
    target.load_state_dict(net.state_dict())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.001)
    before, after = np.zeros((SIZE, 4), np.float32), np.zeros((SIZE, 4), np.float32)
    actions, rewards, ends = (np.zeros((SIZE, 1), kind) for kind in (np.int64, np.float32, np.float32))
    seen, _ = made.reset(seed=0)
    began = 0.0
    for step in range(WARM_UP + steps):
        if step == WARM_UP:
            began = time.perf_counter()
        epsilon = max(1 + (EPSILON_END - 1) * step / EPSILON_STEPS, EPSILON_END)
        if step < WARM_UP or random.random() < epsilon:
            action = made.action_space.sample()
        else:
            action = torch.argmax(net(torch.Tensor(seen).view(1, -1)), dim=1).cpu().numpy()
        following, reward, ended, cut_off, _ = made.step(action if vector else int(np.squeeze(action)))
        place = step % SIZE
        for column, value in ((before, seen), (after, following), (actions, action), (rewards, reward), (ends, ended)):
            column[place] = value
        seen = following
        if not vector and (ended or cut_off):
            seen, _ = made.reset()
        if step < WARM_UP:
            continue
        if step % EVERY == 0:
            rows = np.random.randint(0, min(step + 1, SIZE), ROWS)
            with torch.no_grad():
                best = target(torch.from_numpy(after[rows])).max(dim=1, keepdim=True).values
                wanted = torch.from_numpy(rewards[rows]) + DISCOUNT * best * (1 - torch.from_numpy(ends[rows]))
            value = net(torch.from_numpy(before[rows])).gather(1, torch.from_numpy(actions[rows]))
            loss = F.mse_loss(wanted, value)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if step % REFRESH == 0:
            target.load_state_dict(net.state_dict())
    return steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10_000)
    arguments = parser.parse_args()
    silence()
    print(f"{os.cpu_count()} CPUs, {torch.get_num_threads()} threads, medians of {arguments.rounds} rounds")
    speeds: dict[str, list[float]] = {"runner": [], "plain": [], "vector": []}
    for number in range(arguments.rounds + 1):  # the first round warms up
        steps = arguments.steps if number else 1000
        found = {"runner": through_runner(steps), "plain": by_hand(steps, False), "vector": by_hand(steps, True)}
        for name, value in found.items() if number else ():
            speeds[name].append(value)
    ratios = {
        name: statistics.median(ours / theirs for ours, theirs in zip(speeds["runner"], speeds[name], strict=True))
        for name in ("plain", "vector")
    }
    medians = ", ".join(f"{name} {statistics.median(values):.0f}" for name, values in speeds.items())
    print(f"steps a second: {medians}; runner/plain {ratios['plain']:.2f}, runner/vector {ratios['vector']:.2f}")


if __name__ == "__main__":
    main()
