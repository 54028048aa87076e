// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {InsuranceWitness} from "../../src/stake/Shortfall.sol";
import {Slash, StakeRegistry} from "../../src/stake/StakeRegistry.sol";
import {StakeFixture} from "../support/StakeFixture.sol";

/// @notice Stakers, a sequencer, a court, a dispute contract, shareholders of the pool and time, with a naive account of all
/// money beside them. Every action also tries what must fail.
contract StakeHandler is StakeFixture {
    /// @notice What a posted state says of the insurance.
    struct InsuranceState {
        int256 badDebt;
        int256 cash;
        uint64 cursor;
    }

    address[5] public stakers = [FIRST, SECOND, THIRD, ALICE, SEQUENCER];
    address[3] public holders = [BOB, CHALLENGER, address(0x6001)];
    mapping(address staker => uint256) public depositedBy;
    mapping(address staker => uint256) public withdrawnBy;
    mapping(address staker => uint256) public takenFrom;
    /// @dev Earliest time at which the naive account lets the staker withdraw.
    mapping(address staker => uint256) private _releaseAt;
    mapping(address staker => uint64) private _postedUpTo;
    mapping(uint64 number => InsuranceState) private _states;
    /// @dev Payments of the pool by queue index.
    mapping(uint64 index => uint256) private _paidAt;

    uint256 public taken;
    uint256 public burnt;
    uint256 public toPool;
    uint256 public rewards;
    uint256 public promises;
    uint256 public poolIn;
    uint256 public poolOut;
    uint256 public covered;
    uint256 public convictions;
    uint256 public withdrawals;
    uint256 public redemptions;
    uint256 public covers;
    uint256 public holds;
    uint256 public posts;

    constructor() {
        deployStakeWith(new TestUsdc());
        bond(FIRST, STAKE);
        bond(SECOND, STAKE);
    }

    // ── stake ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function deposit(uint256 who, uint256 amount) public {
        bond(stakers[who % 5], 1 + amount % (2 * STAKE));
    }

    function bond(address staker, uint256 amount) private {
        stakeFor(staker, amount);
        depositedBy[staker] += amount;
    }

    function requestUnbond(uint256 who, uint256 amount) public {
        address staker = stakers[who % 5];
        StakeRegistry.Stake memory stake = registry.stakeDetails(staker);
        if (stake.bonded == 0) return;
        amount = 1 + amount % stake.bonded;
        unbond(staker, amount);
        _releaseAt[staker] = block.timestamp + UNBONDING;
        if (stake.bonded - amount < STAKE) {
            vm.assertFalse(registry.mayPost(staker, 1 + chain.lastNumber()));
        }
    }

    function withdraw(uint256 who) public {
        address staker = stakers[who % 5];
        StakeRegistry.Stake memory stake = registry.stakeDetails(staker);
        uint256 balance = usdc.balanceOf(staker);
        vm.prank(staker);
        try registry.withdraw() {
            vm.assertGe(block.timestamp, _releaseAt[staker], "left before unbonding");
            vm.assertGe(block.timestamp, stake.lockedUntil, "left while locked");
            vm.assertEq(usdc.balanceOf(staker) - balance, stake.unbonding);
            // Whatever he posted before he asked to leave can no longer be challenged.
            uint64 posted = _postedUpTo[staker];
            vm.assertTrue(
                posted <= chain.lastFinal() || posted > stake.resolvedUpTo || posted > chain.lastNumber()
                    || chain.batch(posted).proposer != staker,
                "left a batch that can be challenged"
            );
            withdrawnBy[staker] += stake.unbonding;
            withdrawals++;
        } catch {
            uint64 last = chain.lastNumber();
            uint64 needed = stake.resolvedUpTo < last ? stake.resolvedUpTo : last;
            vm.assertTrue(
                stake.unbonding == 0 || block.timestamp < stake.releaseAt || block.timestamp < stake.lockedUntil
                    || chain.lastFinal() < needed,
                "withdrawal refused"
            );
        }
    }

    function admit(uint256 who) public {
        address staker = stakers[who % 5];
        bool isAdmitted = registry.stakeDetails(staker).admittedAt != 0;
        vm.prank(SEQUENCER);
        try registry.admit(staker) {
            vm.assertFalse(isAdmitted);
        } catch {
            vm.assertTrue(isAdmitted);
        }
    }

    function dismiss(uint256 who) public {
        if (who % 8 > 4) return;
        StakeRegistry.Stake memory stake = registry.stakeDetails(stakers[who % 8]);
        if (stake.admittedAt == 0 || stake.dismissedAt != 0) return;
        vm.prank(SEQUENCER);
        registry.dismiss(stakers[who % 8]);
    }

    function join(uint256 who) public {
        StakeRegistry.Stake memory stake = registry.stakeDetails(stakers[who % 5]);
        bool may = stake.place == 0 && stake.bonded >= STAKE && stake.admittedAt != 0
            && block.timestamp >= stake.admittedAt && stake.dismissedAt == 0;
        try registry.join(stakers[who % 5]) {
            vm.assertTrue(may);
        } catch {
            vm.assertFalse(may);
        }
    }

    function removeDismissed(uint256 who) public {
        StakeRegistry.Stake memory stake = registry.stakeDetails(stakers[who % 5]);
        bool may = stake.dismissedAt != 0 && block.timestamp >= stake.dismissedAt;
        try registry.removeDismissed(stakers[who % 5]) {
            vm.assertTrue(may);
        } catch {
            vm.assertFalse(may);
        }
    }

    // ── slashing ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Convicts a pending batch, or a final one late.
    function convictBatch(uint256 which, uint256 who) public {
        if (which % 3 != 0 || chain.lastNumber() == 0) return;
        uint64 number = 1 + uint64((which / 3) % chain.lastNumber());
        address proposer = chain.batch(number).proposer;
        uint256 before = registry.stakeOf(proposer);
        uint256 count = registry.slashCount();
        bool isFinal = number <= chain.lastFinal();
        address challenger = holders[who % 3];
        if (isFinal) {
            vm.prank(DISPUTE);
            registry.slashProposer(proposer, number, challenger);
        } else {
            convict(number, challenger);
        }
        uint256 loss = before - registry.stakeOf(proposer);
        if (registry.slashCount() == count) {
            vm.assertTrue(isFinal && loss == 0, "no record of a slash");
            return;
        }
        vm.assertEq(loss, before < STAKE ? before : STAKE, "one stake, or what is left");
        Slash memory slash = registry.slashAt(count);
        vm.assertEq(slash.taken, loss);
        vm.assertGe(2 * uint256(slash.burnt), loss, "half is burnt");
        vm.assertEq(registry.stakeDetails(proposer).place, 0);
        takenFrom[proposer] += loss;
        taken += loss;
        burnt += slash.burnt;
        rewards += slash.reward;
        toPool += slash.taken - slash.burnt - slash.reward;
        convictions++;
    }

    function breakPromise(uint256 amount, uint256 seconds_) public {
        uint256 before = registry.stakeOf(SEQUENCER);
        amount %= STAKE;
        vm.startPrank(COURT);
        uint256 paid = registry.slashPromise(SEQUENCER, amount, address(0x7001));
        registry.lockUntil(SEQUENCER, uint64(block.timestamp + seconds_ % 3 days));
        vm.stopPrank();
        vm.assertEq(paid, amount < before ? amount : before);
        takenFrom[SEQUENCER] += paid;
        taken += paid;
        promises += paid;
    }

    function payOut(uint256 who) public {
        uint256 price = probe();
        if (registry.burnDue() > 0) registry.burnSlashed();
        if (registry.poolDue() > 0) {
            poolIn += registry.poolDue();
            registry.payPool();
        }
        address challenger = holders[who % 3];
        if (registry.rewardDue(challenger) > 0) registry.payReward(challenger);
        vm.assertGe(probe(), price, "income lowered the price");
    }

    // ── batches and time ───────────────────────────────────────────────────────────────────────────────────────────

    function passTime(uint256 seconds_) public {
        vm.warp(block.timestamp + seconds_ % (seconds_ % 4 == 0 ? 3 days : 20 minutes));
    }

    /// @notice Whoever may posts a state whose bad debt and insurance cash moved somehow.
    function post(uint256 who, uint256 consume, uint256 debt, uint256 earned) public {
        uint64 number = chain.lastNumber() + 1;
        address proposer = stakers[who % 5];
        if (!registry.mayPost(proposer, number)) proposer = registry.turnOf(number);
        if (proposer == address(0)) return;
        InsuranceState memory state = _states[number - 1];
        uint64 length = custody.queueLength();
        uint64 cursor = state.cursor + uint64(consume % (length - state.cursor + 1));
        for (uint64 i = state.cursor; i < cursor; ++i) {
            state.cash += int256(_paidAt[i]);
        }
        state.cursor = cursor;
        state.cash += int256(earned % 1e6);
        if (debt % 4 == 0) state.badDebt += int256(debt % 1e9);
        // The waterfall: insurance pays what it can of the bad debt.
        int256 paid = state.badDebt < state.cash ? state.badDebt : state.cash;
        if (debt % 3 == 0) (state.badDebt, state.cash) = (state.badDebt - paid, state.cash - paid);
        _states[number] = state;
        postCursorAs(proposer, rootOf(witnessOf(number)), cursor);
        _postedUpTo[proposer] = number;
        posts++;
    }

    function finalise() public {
        uint64 number = chain.lastFinal() + 1;
        if (number > chain.lastNumber() || block.timestamp < chain.batch(number).floor) return;
        chain.finalise(number);
    }

    // ── pool ───────────────────────────────────────────────────────────────────────────────────────────────────────

    function joinPool(uint256 who, uint256 assets) public {
        // Beyond a price that only total losses make, shares no longer fit; the pool says so in its warnings.
        if (pool.totalSupply() > 1e30) return;
        uint256 price = probe();
        assets = 1e6 + assets % 1e12;
        joinPool(holders[who % 3], assets);
        poolIn += assets;
        assertPriceHeld(price);
    }

    function requestRedeem(uint256 who, uint256 shares) public {
        address holder = holders[who % 3];
        uint256 price = probe();
        shares %= pool.balanceOf(holder) + 1;
        vm.prank(holder);
        try pool.requestRedeem(shares) {} catch {}
        vm.assertEq(pool.maxRedeem(holder), 0, "redeemable at once");
        vm.assertEq(probe(), price, "a request moved the price");
    }

    function cancelRequest(uint256 who) public {
        if (who % 4 != 0) return;
        uint256 price = probe();
        vm.prank(holders[(who / 4) % 3]);
        try pool.cancelRequest() {} catch {}
        vm.assertEq(probe(), price, "a cancellation moved the price");
    }

    function redeem(uint256 who, uint256 shares) public {
        address holder = holders[who % 3];
        uint256 price = probe();
        (uint256 requested, uint64 from, uint64 until) = pool.requestOf(holder);
        uint256 redeemable = pool.maxRedeem(holder);
        if (redeemable == 0) return;
        vm.assertTrue(block.timestamp >= from && block.timestamp <= until && redeemable == requested);
        shares = 1 + shares % redeemable;
        vm.prank(holder);
        poolOut += pool.redeem(shares, holder, holder);
        redemptions++;
        assertPriceHeld(price);
    }

    function donate(uint256 amount) public {
        amount %= 1e9;
        usdc.mint(address(pool), amount);
        poolIn += amount;
    }

    /// @notice Covers by any batch: only a recent final one with an uncovered shortfall may pay, never more than that.
    function cover(uint256 which) public {
        if (chain.lastNumber() == 0) return;
        uint64 last = chain.lastNumber();
        uint64 number = which % 3 == 0 ? 1 + uint64((which / 3) % last) : chain.lastFinal();
        if (number == 0) return;
        uint256 missing = uncovered(number);
        uint256 assets = pool.totalAssets();
        uint64 index = custody.queueLength();
        try pool.coverShortfall(number, witnessOf(number)) {
            vm.assertGe(chain.lastFinal(), number, "covered by a root that is not final");
            uint256 paid = assets - pool.totalAssets();
            vm.assertEq(paid, missing < assets ? missing : assets, "paid another amount than the uncovered shortfall");
            if (paid == 0) return;
            _paidAt[index] = paid;
            covered += paid;
            covers++;
        } catch {
            vm.assertTrue(
                number > chain.lastFinal() || number < pool.coveredNumber() || missing == 0
                    || number + 64 < chain.lastFinal(),
                "cover refused"
            );
        }
    }

    function hold(uint256 which) public {
        uint64 pending = chain.lastNumber() - chain.lastFinal();
        if (pending == 0) return;
        uint64 number = chain.lastFinal() + 1 + uint64(which % pending);
        uint256 missing = uncovered(number);
        try pool.holdForShortfall(number, witnessOf(number)) {
            vm.assertTrue(missing > 0, "held without a shortfall");
            vm.assertTrue(pool.coveredNumber() >= number || pool.isHeld());
            holds++;
        } catch {
            bool isHeldLater = number < pool.heldNumber() && pool.isHeld();
            vm.assertTrue(missing == 0 || isHeldLater, "hold refused");
        }
    }

    // ── what the invariants ask ────────────────────────────────────────────────────────────────────────────────────

    function contracts() external view returns (TestUsdc, StakeRegistry) {
        return (usdc, registry);
    }

    function poolAssets() external view returns (uint256) {
        return pool.totalAssets();
    }

    function poolShares() external view returns (uint256 supply, uint256 held) {
        supply = pool.totalSupply();
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 requested,,) = pool.requestOf(holders[i]);
            held += pool.balanceOf(holders[i]) + requested;
        }
    }

    function requestedShares() external view returns (uint256 requested, uint256 escrowed) {
        for (uint256 i = 0; i < 3; ++i) {
            (uint256 shares,,) = pool.requestOf(holders[i]);
            requested += shares;
        }
        escrowed = pool.balanceOf(address(pool));
    }

    function dues() external view returns (uint256 due) {
        due = registry.burnDue() + registry.poolDue();
        for (uint256 i = 0; i < 3; ++i) {
            due += registry.rewardDue(holders[i]);
        }
    }

    // ── internals ──────────────────────────────────────────────────────────────────────────────────────────────────

    function witnessOf(uint64 number) private view returns (InsuranceWitness memory) {
        InsuranceState memory state = _states[number];
        return insuranceWitness(state.badDebt, state.cash, state.cursor);
    }

    /// @dev By the naive account: the state's shortfall less the payments that it has not consumed.
    function uncovered(uint64 number) private view returns (uint256) {
        InsuranceState memory state = _states[number];
        int256 missing = state.badDebt - state.cash;
        for (uint64 i = state.cursor; i < custody.queueLength(); ++i) {
            missing -= int256(_paidAt[i]);
        }
        return missing > 0 ? uint256(missing) : 0;
    }

    /// @dev Value of a great many shares: finer than what anyone is paid.
    function probe() private view returns (uint256) {
        return pool.convertToAssets(1e24);
    }

    /// @dev Rounding is for the pool: the price never falls, and all shares together gain less than one micro-USDC or the
    /// value of one share, whichever is more.
    function assertPriceHeld(uint256 before) private view {
        uint256 price = probe();
        uint256 shares = pool.totalSupply() + 1e6;
        vm.assertGe(price, before, "price fell");
        vm.assertGe(before + 1e24 * (1 + (pool.totalAssets() + 1) / shares) / shares + 2, price, "price rose");
    }
}
