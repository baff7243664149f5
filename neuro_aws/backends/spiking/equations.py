"""The spiking cortex as Brian2 code: one time step, and one update of plasticity.

Everything is in discrete time, exact for the linear part: potentials dimensionless (1 unit =
15 mV), times and rates in ms and 1/ms, as in Urbanczik & Senn (2014). Each time step, in order:

    PSPs decay          A <- A e^{-h/tau_L}   B <- B e^{-h/tau_s}   PSP-sum = scale (A - B)
    dendrite            V = sum_j G_ij PSP_j + c        V* = g_D / (g_L + g_D) V
    teacher             X = stimulus or prior, or in wake sum_j F_ij PSP_j + b
    soma                U <- U_inf + (U - U_inf) e^{-g h},  g = g_L + g_c + g_t,
                        U_inf = (g_c V + g_t X) / g;  neuromodulator 2 selects: in wake g_t drives
                        every soma, in sleep g_c (the dendrite) all but the top layer's
    spike               probability 1 - exp(-q phi(U) h), q the experimenter's gain; 0 if refractory
    scores              S - p of this draw, times phi' h / p and the share of the drive: for V*
                        g_D / (g_L + g_D) (feedback), for U g_t / g and q (feedforward)

p of U, the probability that was drawn from, is 0 while refractory. p* of V* is
(1 - exp(-phi(V*) h)) m, m = 1 where the cell is free; while it is refractory m = 0
(`refractory_error: masked`): no prediction error where no spike could be; or m = 1 (`nest`), as in
NEST's urbanczik_synapse, whose dendrite predicts the mean rate, refractory period included.

A presynaptic spike adds w to A and B of its targets. Scores and spikes are summed by neuron over an
update interval T (5 ms); intervals end where phases do. At the end of each, in order:

    ACh features        f = [(w . traces - mean) / spread - bend]_+ of two neighbouring layers,
                        10 at most
    ACh                 level = r . (f - <f>), a logit;  delta = level - baseline (50 ms), or held
    its readout         dr = eta_A (awake - sigmoid(level)) (f - <f>) / (1 + |f - <f>|^2)
    feedforward         dF_ij = - eta_F delta e_ij,  e_ij <- e_ij e^{-T / 20 ms} + score_i PSP_j
                        (the latter in wake)
    feedback            dG_ij = + eta_G score*_i PSP_j,  dc_i = + eta_c score*_i  (Eq. 2, by spikes)
    homeostasis         db_i = eta_H (spikes wanted - spikes)

each under its gate. The signs are those of Eq. 3: the readout rises in wake and falls in REM, and
feedforward synapses lower it in wake. No synapse has an equation over time of its own. Tables over
time are looked up by whole time steps since the segment began, so that a resumed run finds
the same rows. PSP_j is that of the update before: a later one would hold spikes that the very cell
below has caused, which its dendrite would then seem to predict (analysis/linearised_layer.py).
"""

MODEL = """
top : 1 (constant)
hidden : 1 (constant)
A_f : 1
B_f : 1
A_d : 1
B_d : 1
A_p : 1
B_p : 1
trace : 1
U : 1
V_star : 1
bias : 1
bias_dendrite : 1
rest : 1
p : 1
s_d : 1
s_f : 1
score_d : 1
score_f : 1
fired : 1
expected : 1
received : 1
release : 1 (linked)
delta : 1
"""

STEP = """
here = (t_in_timesteps - first_step) * dt
awake = wake_t(here)
A_f = A_f * decay_l
B_f = B_f * decay_s
A_d = A_d * decay_l
B_d = B_d * decay_s
A_p = A_p * decay_l
B_p = B_p * decay_s
trace = trace * decay_trace
V = psp_scale * (A_d - B_d) + bias_dendrite
X = drive_t(here, i) + awake * hidden * (psp_scale * (A_f - B_f) + bias)
g_t = teacher * (awake + (1 - awake) * top)
g_c = coupling * (awake * coupling_awake + (1 - awake) * (1 - top))
g = leak + g_t + g_c
U_inf = (g_c * V + g_t * X) / g
U = U_inf + (U - U_inf) * exp(-g * h)
q = gain_t(here, i)
r = rate_most / (1 + k * exp(beta * (theta - U)))
raw = 1 - exp(-q * r * h)
rest = rest - h
free = int(rest <= 1e-9)
p = raw * free
V_star = prediction * V
r_d = rate_most / (1 + k * exp(beta * (theta - V_star)))
raw_d = 1 - exp(-r_d * h)
s_d = prediction * beta * (1 - r_d / rate_most) * r_d * h / (raw_d + tiny)
s_f = (g_t / g) * beta * (1 - r / rate_most) * q * r * h / (raw + tiny)
expected = expected + raw_d * free
m = free + (1 - free) * unmasked
score_d = score_d - raw_d * m * s_d
score_f = score_f - p * s_f
"""

THRESHOLD = "rand() < p"

RESET = """
rest = refractory
A_p += 1
B_p += 1
trace += 1
score_d += s_d
score_f += s_f
fired += 1
"""

FEEDFORWARD = "w : 1\neligibility : 1"
FEEDFORWARD_SPIKE = "A_f_post += w\nB_f_post += w"
FEEDFORWARD_UPDATE = """
here = (t_in_timesteps - first_step) * dt
eligibility = eligibility * decay_eligibility + wake_t(here) * score_f_post * received_pre
w = w - eta_f * gate_f_t(here) * delta_post * eligibility
"""

FEEDBACK = "w : 1"
FEEDBACK_SPIKE = "A_d_post += w\nB_d_post += w"
FEEDBACK_UPDATE = """
here = (t_in_timesteps - first_step) * dt
w = w + eta_b * gate_b_t(here) * score_d_post * received_pre
"""

RECEIVE = "delta = release"

CORTEX_UPDATE = """
here = (t_in_timesteps - first_step) * dt
bias_dendrite = bias_dendrite + eta_c * gate_b_t(here) * score_d
bias = bias + hidden * eta_h * gate_h_t(here) * (target_per_interval - fired)
score_d = 0
score_f = 0
fired = 0
received = psp_scale * (A_p - B_p)
"""

FEATURES = """
x : 1
mean : 1
variance : 1
bend : 1 (constant)
f : 1
f_mean : 1
centred : 1
"""
READ = "x_post += w * trace_pre"
FEATURES_UPDATE = """
here = (t_in_timesteps - first_step) * dt
pace = rate_slow * gate_a_t(here)
mean = mean + pace * (x - mean)
variance = variance + pace * ((x - mean)**2 - variance)
f = clip((x - mean) / sqrt(variance + 1e-6) - bend, 0, 10)
f_mean = f_mean + pace * (f - f_mean)
centred = f - f_mean
x = 0
"""

ACH = """
sum_level : 1
sum_power : 1
level : 1
power : 1
baseline : 1
delta : 1
"""
ACH_COLLECT = "sum_level_post += r * centred_pre\nsum_power_post += centred_pre**2"
ACH_UPDATE = """
here = (t_in_timesteps - first_step) * dt
level = sum_level
power = sum_power
sum_level = 0
sum_power = 0
baseline = baseline + rate_fast * (level - baseline)
held = clamp_on_t(here)
delta = held * clamp_t(here) + (1 - held) * (level - baseline)
"""
ACH_LEARN = """
here = (t_in_timesteps - first_step) * dt
readout_error = wake_t(here) - 1 / (1 + exp(-level_post))
r = r + eta_a * gate_a_t(here) * readout_error * centred_pre / (1 + power_post)
"""
