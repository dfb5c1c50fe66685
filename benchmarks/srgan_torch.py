"""SRGAN and its training step in PyTorch, for `training_step_torch.py`: networks, losses and passes as here."""

import torch
from torch import nn
from torch.nn import functional

PATCH, SCALE = 96, 4
BETA, GAMMA = 0.006, 1e-5


class Block(nn.Module):
    """Residual block."""

    def __init__(self, filters):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.PReLU(filters),
            nn.Conv2d(filters, filters, 3, padding=1, bias=False),
            nn.BatchNorm2d(filters),
        )

    def forward(self, x):  # noqa: D102
        return x + self.body(x)


class Generator(nn.Module):
    """SRResNet."""

    def __init__(self, filters=64, blocks=16):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, filters, 9, padding=4), nn.PReLU(filters))
        body = [Block(filters) for _ in range(blocks)]
        body += [nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters)]
        self.body = nn.Sequential(*body)
        stage = [nn.Conv2d(filters, 4 * filters, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(filters)]
        again = [nn.Conv2d(filters, 4 * filters, 3, padding=1), nn.PixelShuffle(2), nn.PReLU(filters)]
        self.tail = nn.Sequential(*stage, *again, nn.Conv2d(filters, 3, 9, padding=4))

    def forward(self, x):  # noqa: D102
        x = self.stem(x)
        return self.tail(x + self.body(x))


def discriminator(filters=64):
    modules, width = [], 3
    for multiple, stride in ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)):
        modules += [nn.Conv2d(width, multiple * filters, 3, stride, 1, bias=False), nn.LeakyReLU(0.2)]
        width = multiple * filters
    modules += [
        nn.Flatten(),
        nn.Linear(width * (PATCH // 16) ** 2, 1024),
        nn.LeakyReLU(0.2),
        nn.Linear(1024, 1),
    ]
    return nn.Sequential(*modules)


class Features(nn.Module):
    """VGG19 with batch norm already folded: convolutions with bias, five maps."""

    def __init__(self):
        super().__init__()
        self.groups, channels = nn.ModuleList(), 3
        for width, convolutions in zip((64, 128, 256, 512, 512), (2, 2, 4, 4, 4), strict=True):
            group = []
            for _ in range(convolutions):
                group += [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.2)]
                channels = width
            self.groups.append(nn.Sequential(*group))
        self.requires_grad_(False)

    def forward(self, x):  # noqa: D102
        maps = []
        for group in self.groups:
            x = group(functional.max_pool2d(x, 2) if maps else x)
            maps.append(x)
        return maps


def training_step(layout, batch, half):
    """Return a function that does one step; `half`: with convolutions in bfloat16, as PyTorch's autocast has them."""
    torch.manual_seed(0)
    networks = [m.to(memory_format=layout) for m in (Generator(), discriminator(), Features())]
    generator, critic, features = networks
    optimizers = [torch.optim.Adam(generator.parameters(), 1e-4), torch.optim.Adam(critic.parameters(), 1e-3)]
    lr = (torch.rand(batch, 3, PATCH // SCALE, PATCH // SCALE) * 2 - 1).to(memory_format=layout)
    hr = (torch.rand(batch, 3, PATCH, PATCH) * 2 - 1).to(memory_format=layout)
    parameters = list(critic.parameters())

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            sr = generator(lr).float()
            leaf = sr.detach().requires_grad_()  # gradients of the terms meet here
            with torch.no_grad():
                hr_maps = features(hr)
            sr_maps = features(leaf)
            real, fake = critic(hr).float(), critic(leaf).float()
        pixel = functional.mse_loss(leaf, hr)
        content = sum(functional.mse_loss(a.float(), b.float()) for a, b in zip(sr_maps, hr_maps, strict=True))
        adversarial = torch.mean((fake - 1) ** 2)
        d_loss = torch.mean((real - 1) ** 2) + torch.mean((fake + 1) ** 2)
        gradients = [
            torch.autograd.grad(pixel, leaf)[0],
            BETA * torch.autograd.grad(content, leaf)[0],
            GAMMA * torch.autograd.grad(adversarial, leaf, retain_graph=True)[0],
        ]
        norms = [torch.linalg.vector_norm(g) for g in gradients]
        d_gradients = torch.autograd.grad(d_loss, parameters)
        for optimizer in optimizers:
            optimizer.zero_grad()
        sr.backward(sum(gradients))
        for parameter, gradient in zip(parameters, d_gradients, strict=True):
            parameter.grad = gradient
        for optimizer in optimizers:
            optimizer.step()
        sum(norms).item()

    return step
