"""Playing with a policy that imitates."""

from __future__ import annotations

from tasks.commands.base import require
from tasks.gail.extra import rl_extra
from tasks.gail.own_run import config_of
from tasks.run import Run


def evaluate(run: Run, *, episodes: int, deterministic: bool, film: bool) -> None:
    """Play fresh episodes, write down what they gave, and draw one of them if that is asked for.

    Args:
        run: of the policy.
        episodes: how many.
        deterministic: whether the policy takes its likeliest action.
        film: whether an episode is drawn, as ``figures/episode.gif`` and as a strip of pictures for the report.

    Raises:
        ConfigurationError: if something does not fit, or what draws the environment is not installed.
        CheckpointError: if there is no good checkpoint.
    """
    from tasks.report import write_report

    require(episodes >= 1, f"episodes must be at least 1, got {episodes}.")
    with rl_extra():
        from tasks.gail import frames
        from tasks.gail.evaluation import returns_of
        from tasks.gail.records import method_of, played_record
        from tasks.gail.train import restore

    config = config_of(run)
    policy = restore(config, run.path).policy
    episode = frames.film(policy, config, deterministic=deterministic) if film else None
    returns = returns_of(policy, config, episodes=episodes, deterministic=deterministic)
    record = played_record(config, method_of(config), returns)
    chosen = "likeliest" if deterministic else "drawn"
    run.append_results([{**record, "split": f"{episodes} fresh episodes, actions {chosen}"}])
    print(f"Return in {episodes} fresh episodes: {returns.mean():.2f} ± {record['deviation']:.2f}")
    if episode is not None:
        frames.write_gif(episode.frames, run.figures / "episode.gif")
        frames.write_strip(episode.frames, run.figures / "episode.png")
        print(f"An episode with a return of {episode.total:g}: {run.figures / 'episode.gif'}")
    print(f"Report: {write_report([run], run.path, title=run.name)}")
