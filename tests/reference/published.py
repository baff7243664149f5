"""One step of the published experiment, written plainly and differentiated by autograd.

From the equations of the golden vectors' README, gamma from 0 to 1: five passes up through F, five
readings of D, penalties differentiated twice. The oracle for the written-out step, and the plain form that
``benchmarks/dcgan_step.py`` measures against. Nothing of the package is used in it.
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional as f

Parameters = dict[str, Tensor]
Draw = Callable[[str, str, tuple[int, ...]], Tensor]
"""(pass, "normal" or "uniform", shape) -> the next draw of that pass."""

SIGMA = 0.01
LAYERS = 5


def fresh_draws(generator: torch.Generator, dtype: torch.dtype) -> Draw:
    """Return draws from a generator, as the published experiment takes them."""

    def draw(_: str, kind: str, shape: tuple[int, ...]) -> Tensor:
        if kind == "normal":
            return torch.randn(shape, generator=generator, dtype=dtype)
        return torch.rand(shape, generator=generator, dtype=dtype).clamp(min=1e-8)

    return draw


def recorded_draws(noise: dict[str, tuple[Iterable[Tensor], Iterable[Tensor]]]) -> Draw:
    """Return draws that play back what is recorded."""
    left = {(n, k): iter(d[k]) for n, d in noise.items() for k in (0, 1)}
    return lambda name, kind, shape: next(left[name, int(kind == "uniform")])


def rms(v: Tensor) -> Tensor:
    """Divide by the root mean square over channels."""
    return v / torch.sqrt((v**2).mean(1, keepdim=True) + 1e-8)


class Experiment:
    """Parameters by their published names, and the step that changes them."""

    def __init__(
        self,
        parameters: Parameters,
        *,
        gamma: float = 1.0,
        penalty: float = 0.9,
        readout_penalty: float = 7.0,
        rates: tuple[float, float, float, float] = (3e-4, 1e-5, 1e-4, 1e-5),
        betas: tuple[float, float] = (0.64, 0.999),
    ) -> None:
        self.buffers = {k: v.clone() for k, v in parameters.items() if "running" in k}
        self.p = {
            k: v.clone().requires_grad_()
            for k, v in parameters.items()
            if v.is_floating_point() and "running" not in k and "derelu" not in k
        }
        self.gamma, self.penalty, self.readout_penalty = gamma, penalty, readout_penalty
        names = ("inference", "generator", "discriminator", "readout")
        self.groups = {n: [k for k in self.p if k.startswith(n)] for n in names}
        self.optimisers = [
            torch.optim.Adam([self.p[k] for k in self.groups[n]], lr=rate, betas=betas)
            for n, rate in zip(names, rates, strict=True)
            if self.groups[n]
        ]

    def up(self, x: Tensor, draw: Draw, name: str, top: int = LAYERS) -> list[Tensor]:
        """h_0 ... h_top from the stimulus; passes for R stop at h_4."""
        states = [x]
        for i in range(top):
            u = states[-1]
            if i:
                uniform = draw(name, "uniform", tuple(u.shape))
                u = torch.where(u > 0, u, 0.5 * uniform.log())
            at = f"inference/inference_{i + 1}from{i}_conv"
            w = self.p[f"{at}.conv1.weight"]
            stride, padding = (2, 1) if i < LAYERS - 1 else (1, 0)
            a = f.conv2d(u, w, stride=stride, padding=padding)
            mean, var = (
                self.buffers[f"{at}.bn1.running_mean"],
                self.buffers[f"{at}.bn1.running_var"],
            )
            scale, shift = self.p[f"{at}.bn1.weight"], self.p[f"{at}.bn1.bias"]
            a = f.batch_norm(a, mean, var, scale, shift, training=True)
            a = a + SIGMA * draw(name, "normal", tuple(a.shape))
            states.append(rms(torch.relu(a) if i < LAYERS - 1 else a))
        return states

    def feedback(self, i: int, above: Tensor) -> Tensor:
        """The transposed convolution from layer i + 1 to layer i."""
        at = f"generator/generative_{i + 1}to{i}_conv"
        stride, padding = (2, 1) if i < LAYERS - 1 else (1, 0)
        return f.conv_transpose2d(
            above, self.p[f"{at}.weight"], self.p[f"{at}.bias"], stride, padding
        )

    def down(self, z: Tensor, draw: Draw) -> list[Tensor]:
        """x, h_1 ... h_5 from the prior."""
        states = [rms(z)]
        for i in range(LAYERS - 1, 0, -1):
            a = rms(self.feedback(i, states[-1]))
            states.append(torch.relu(a + SIGMA * draw("sleep", "normal", tuple(a.shape))))
        states.append(torch.tanh(self.feedback(0, states[-1])))
        return states[::-1]

    def discriminate(self, states: list[Tensor], draw: Draw, name: str) -> Tensor:
        """D of each sample."""
        flat = [h.flatten(1) for h in states]
        spread = [torch.sqrt(h.var(0) + 1e-8).mean().expand(len(h), 1) for h in flat]
        hidden = [
            f.linear(
                torch.cat([flat[i], spread[i], flat[i + 1], spread[i + 1]], 1),
                self.p[f"discriminator/linear{i}{i + 1}.weight"],
                self.p[f"discriminator/linear{i}{i + 1}.bias"],
            )
            for i in range(LAYERS)
        ]
        u = torch.cat(hidden, 1)
        u = u + SIGMA * draw(name, "normal", tuple(u.shape))
        y = rms(f.leaky_relu(u, 0.01))
        return f.linear(
            y, self.p["discriminator/linear2.weight"], self.p["discriminator/linear2.bias"]
        )[:, 0]

    def gradient_penalty(self, states: list[Tensor], draw: Draw, name: str) -> Tensor:
        """lambda mean(||g||_1 - 1), signed."""
        inputs = [h.detach().requires_grad_() for h in states]
        level = self.discriminate(inputs, draw, name)
        gradients = torch.autograd.grad(level.sum(), inputs, create_graph=True)
        length = torch.cat([g.flatten(1) for g in gradients], 1).abs().sum(1)
        return self.penalty * (length - 1).mean()

    def readout(self, h: Tensor) -> Tensor:
        """R of each sample."""
        spread = torch.sqrt(h.flatten(1).var(0) + 1e-8).mean().expand(len(h), 1)
        joined = torch.cat([h.flatten(1), spread], 1)
        return f.linear(joined, self.p["readout/readout.weight"], self.p["readout/readout.bias"])[
            :, 0
        ]

    def readout_gradient_penalty(self, x: Tensor, draw: Draw, name: str) -> Tensor:
        """lambda_R mean (||grad_x R||_2 - 1)^2."""
        x = x.detach().requires_grad_()
        level = self.readout(self.up(x, draw, name, 4)[4])
        (gradient,) = torch.autograd.grad(level.sum(), x, create_graph=True)
        norm = torch.sqrt(gradient.flatten(1).square().sum(1) + 1e-12)
        return self.readout_penalty * (norm - 1).square().mean()

    def losses(self, x: Tensor, z: Tensor, draw: Draw) -> dict[str, Tensor]:
        """Every loss at the old parameters."""
        gamma, out = self.gamma, {}
        wake = self.up(x, draw, "wake")
        held = [h.detach() for h in wake]
        doubly = gamma < 1
        penalty_x = x.new_zeros(())
        if doubly:
            penalty_x = self.readout_gradient_penalty(x, draw, "readout_penalty_wake")
        asleep = self.down(z, draw)
        dreamt = [h.detach() for h in asleep]
        out["disc_wake"] = self.discriminate(held, draw, "disc_wake")
        out["disc_sleep"] = self.discriminate(dreamt, draw, "disc_sleep")
        out["gp_wake"] = self.gradient_penalty(held, draw, "gp_wake")
        out["gp_sleep"] = self.gradient_penalty(dreamt, draw, "gp_sleep")
        taught = self.discriminate(wake, draw, "disc_wake_for_inference")
        top = wake[5].flatten(1)
        var = top.var(0)
        kl = 0.5 * (var + top.mean(0) ** 2 - 1 - torch.log(var + 1e-12)).sum()
        errors = []
        for i in range(LAYERS):
            p = self.feedback(i, held[i + 1])
            p = torch.tanh(p) if i == 0 else torch.relu(p)
            errors.append((p - held[i]).abs().mean())
        out["disc_wake_for_inference"], out["kl_from_standard_normal"] = taught, kl
        out["generator_per_layer"] = torch.stack(errors)
        out["discriminator_total"] = gamma * (
            -out["disc_wake"].mean() + out["disc_sleep"].mean() + out["gp_sleep"] + out["gp_wake"]
        )
        out["inference_total"] = gamma * taught.mean() + 1e-4 * kl
        out["generator_total"] = gamma * torch.stack(errors).sum()
        if doubly:
            again = self.up(dreamt[0], draw, "readout", 4)
            penalty_dream = self.readout_gradient_penalty(dreamt[0], draw, "readout_penalty_sleep")
            sent = self.up(asleep[0], draw, "readout_for_generator", 4)
            out["readout_penalty_wake"] = torch.as_tensor(penalty_x)
            out["readout_penalty_sleep"] = penalty_dream
            loss = -self.readout(wake[4]).mean() + self.readout(again[4]).mean()
            out["readout_total"] = (1 - gamma) * (loss + penalty_x + penalty_dream)
            out["inference_total"] = out["inference_total"] + out["readout_total"]
            out["generator_total"] = (
                out["generator_total"] - (1 - gamma) * self.readout(sent[4]).mean()
            )
        self.states = {"wake": held, "sleep": dreamt}
        return out

    def gradients(self, losses: dict[str, Tensor]) -> Parameters:
        """Gradient of each group's own total, by name; absent where it has none."""
        found: Parameters = {}
        for group, names in self.groups.items():
            if f"{group}_total" not in losses:
                continue
            leaves = [self.p[k] for k in names]
            grads = torch.autograd.grad(
                losses[f"{group}_total"], leaves, retain_graph=True, allow_unused=True
            )
            found |= {k: g for k, g in zip(names, grads, strict=True) if g is not None}
        return found

    def step(self, x: Tensor, z: Tensor, draw: Draw) -> dict[str, Tensor]:
        """All gradients at the old parameters, then one Adam step each."""
        losses = self.losses(x, z, draw)
        for name, gradient in self.gradients(losses).items():
            self.p[name].grad = gradient
        for optimiser in self.optimisers:
            optimiser.step()
        return losses
