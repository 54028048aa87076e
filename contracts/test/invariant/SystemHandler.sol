// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestUsdc} from "../../dev/TestUsdc.sol";
import {BatchChain} from "../../src/chain/BatchChain.sol";
import {Custody} from "../../src/custody/Custody.sol";
import {EntitlementKind, EscapePhase} from "../../src/escape/IEscape.sol";
import {Escape} from "../../src/escape/Escape.sol";
import {StakeRegistry} from "../../src/stake/StakeRegistry.sol";
import {InsuranceWitness} from "../../src/stake/Shortfall.sol";
import {InsurancePool} from "../../src/stake/InsurancePool.sol";
import {SystemBatches} from "./SystemBatches.sol";

/// @notice The same with stakes, the insurance pool, promises, and the winding up of a venue that failed.
contract SystemHandler is SystemBatches {
    address[2] public holders = [address(0xA001), address(0xA002)];
    mapping(uint64 index => uint256) private _paidAt;
    mapping(address staker => uint256) private _releaseAt;

    uint256 public staked;
    uint256 public unstaked;
    uint256 public promises;
    uint256 public poolPaid;
    uint256 public rewardsPaid;
    uint256 public poolIn;
    uint256 public poolOut;
    uint256 public covered;
    uint256 public coveredEscape;
    uint256 public escapePaid;
    uint256 public covers;
    uint256 public holds;
    uint256 public unbondings;
    uint256 public freezes;
    uint256 public anchors;
    uint256 public registrations;
    uint256 public payments;

    constructor() {
        deploySystem();
        for (uint256 i = 0; i < 2; ++i) {
            bond(stakers[i], STAKE);
        }
    }

    // ── stake ──────────────────────────────────────────────────────────────────────────────────────────────────────

    function bond(address staker, uint256 amount) private {
        usdc.mint(address(this), amount);
        usdc.approve(address(stakes), amount);
        stakes.depositFor(staker, amount);
        staked += amount;
    }

    function depositStake(uint256 random) public {
        bond(random % 5 == 4 ? SEQUENCER : stakers[random % 5], 1 + (random >> 8) % (2 * STAKE));
    }

    function admit(uint256 random) public {
        address staker = stakers[random % 4];
        if (stakes.stakeDetails(staker).admittedAt != 0) {
            try stakes.join(staker) {} catch {}
            return;
        }
        vm.prank(SEQUENCER);
        stakes.admit(staker);
    }

    function unbondStake(uint256 random) public {
        if (random % 4 != 0) return;
        address staker = stakers[(random / 4) % 4];
        uint256 bonded = stakes.stakeDetails(staker).bonded;
        if (bonded == 0) return;
        vm.prank(staker);
        stakes.requestUnbond(1 + (random >> 8) % bonded);
        _releaseAt[staker] = block.timestamp + UNBONDING;
    }

    function withdrawStake(uint256 random) public {
        address staker = stakers[random % 4];
        uint256 balance = usdc.balanceOf(staker);
        vm.prank(staker);
        try stakes.withdraw() {
            vm.assertGe(block.timestamp, _releaseAt[staker], "left before unbonding");
            unstaked += usdc.balanceOf(staker) - balance;
            unbondings++;
        } catch {}
    }

    function breakPromise(uint256 random) public {
        if (random % 8 != 0) return;
        vm.prank(COURT);
        promises += stakes.slashPromise(SEQUENCER, (random >> 8) % STAKE, address(0xB001));
    }

    function payOut() public {
        if (stakes.burnDue() > 0) stakes.burnSlashed();
        if (stakes.poolDue() > 0) {
            poolPaid += stakes.poolDue();
            poolIn += stakes.poolDue();
            stakes.payPool();
        }
        if (stakes.rewardDue(users[0]) > 0) {
            rewardsPaid += stakes.rewardDue(users[0]);
            stakes.payReward(users[0]);
        }
    }

    // ── pool ───────────────────────────────────────────────────────────────────────────────────────────────────────

    function joinPool(uint256 random) public {
        if (custody.frozen() || pool.totalSupply() > 1e30) return;
        address holder = holders[random % 2];
        uint256 assets = 1e6 + (random >> 8) % 1e10;
        usdc.mint(holder, assets);
        vm.startPrank(holder);
        usdc.approve(address(pool), assets);
        pool.deposit(assets, holder);
        vm.stopPrank();
        poolIn += assets;
    }

    function leavePool(uint256 random) public {
        address holder = holders[random % 2];
        uint256 redeemable = pool.maxRedeem(holder);
        vm.startPrank(holder);
        if (redeemable > 0) {
            poolOut += pool.redeem(redeemable, holder, holder);
        } else if (pool.balanceOf(holder) > 0) {
            pool.requestRedeem(1 + (random >> 8) % pool.balanceOf(holder));
        }
        vm.stopPrank();
    }

    function cover(uint256 random) public {
        uint64 number =
            random % 4 == 0 ? 1 + uint64((random >> 8) % (uint256(chain.lastNumber()) + 1)) : chain.lastFinal();
        if (number == 0 || number > chain.lastNumber()) return;
        load(number);
        uint256 missing = uncoveredInState(_paidAt);
        uint256 assets = pool.totalAssets();
        uint64 index = custody.queueLength();
        try pool.coverShortfall(number, insuranceWitnessInState()) {
            vm.assertTrue(number <= chain.lastFinal(), "covered by a root that is not final");
            uint256 paid = assets - pool.totalAssets();
            vm.assertEq(paid, missing < assets ? missing : assets, "another amount than the uncovered shortfall");
            if (paid == 0) return;
            _paidAt[index] = paid;
            entries.push(Entry(2, 1, uint64(paid), address(pool)));
            deposited += paid;
            covered += paid;
            covers++;
        } catch {
            vm.assertTrue(
                number > chain.lastFinal() || number < pool.coveredNumber() || missing == 0 || custody.frozen()
                    || number + 64 < chain.lastFinal(),
                "cover refused"
            );
        }
    }

    function hold(uint256 random) public {
        uint64 count = chain.lastNumber() - chain.lastFinal();
        if (count == 0) return;
        uint64 number = chain.lastFinal() + 1 + uint64(random % count);
        load(number);
        uint256 missing = uncoveredInState(_paidAt);
        InsuranceWitness memory witness = insuranceWitnessInState();
        try pool.holdForShortfall(number, witness) {
            vm.assertTrue(missing > 0, "held without a shortfall");
            holds++;
        } catch {
            vm.assertEq(missing, 0);
        }
    }

    // ── winding up ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Tries to freeze by every forced entry: only one that is overdue and not consumed does.
    function freeze(uint256 random) public {
        if (custody.frozen()) return;
        uint64 index = uint64(random % entries.length);
        uint256 deadline = custody.forcedDeadlineOf(index);
        uint256 afterDrop = uint256(chain.lastDropAt()) + FORCED_PERIOD;
        bool isMissed = deadline != 0 && block.timestamp > deadline && block.timestamp > afterDrop
            && chain.batch(chain.lastNumber()).inboundCursor <= index;
        try escape.freezeForMissedEntry(index) {
            vm.assertTrue(isMissed, "an honest venue was frozen");
            freezes++;
        } catch {
            vm.assertFalse(isMissed);
        }
    }

    function anchor() public {
        if (escape.phase() != EscapePhase.RESOLVING) return;
        uint64 number = chain.lastFinal();
        if (firstFraud <= number && dispute.isConvicted(firstFraud)) number = firstFraud - 1;
        load(number);
        try escape.fixAnchor(stateParts(), address(0)) {
            vm.assertEq(escape.anchorDetails().batchNumber, number);
            anchors++;
        } catch {
            vm.assertTrue(chain.lastFinal() < chain.lastNumber(), "the anchor was refused");
        }
    }

    function register(uint256 random) public {
        EscapePhase phase = escape.phase();
        if (phase < EscapePhase.REGISTERING) return;
        load(escape.anchorDetails().batchNumber);
        uint256 which = random % (ACCOUNTS + 2);
        if (which < ACCOUNTS) {
            try escape.registerAccount(uint24(which), accountWitness(uint24(which))) {
                registrations++;
            } catch {}
        } else if (which == ACCOUNTS) {
            if (outboxInState.length == 0) return;
            uint32 number = uint32((random >> 8) % outboxInState.length);
            try escape.registerWithdrawal(number, outboxInState[number], outboxPath(number)) {
                vm.assertEq(timesClaimed[number], 0, "claimed and registered");
                registrations++;
            } catch {}
        } else {
            uint64 index = uint64((random >> 8) % entries.length);
            Entry memory entry = entries[index];
            if (entry.kind != 2) return;
            bytes memory packed = abi.encodePacked(uint8(2), entry.account, entry.amount, entry.party);
            try escape.registerDeposit(index, packed) {
                vm.assertTrue(index >= cursorInState, "a consumed deposit registered");
                registrations++;
            } catch {}
        }
    }

    function close() public {
        if (escape.phase() != EscapePhase.CLOSABLE) return;
        uint256 assets = pool.totalAssets();
        escape.close();
        coveredEscape += assets - pool.totalAssets();
    }

    /// @notice Pays anything twice: the second payment must be refused.
    function pay(uint256 random) public {
        if (escape.phase() < EscapePhase.PAYING) return;
        uint256 kind = random % 3;
        uint64 number = uint64((random >> 8) % (kind == 0 ? ACCOUNTS : kind == 1 ? OUTBOX_MAX : entries.length));
        tryPay(EntitlementKind(kind), number);
        vm.assertFalse(tryPay(EntitlementKind(kind), number));
    }

    function tryPay(EntitlementKind kind, uint64 number) private returns (bool isPaid) {
        uint256 vault = usdc.balanceOf(address(custody));
        address beneficiary = escape.entitlementOf(kind, number).beneficiary;
        try escape.pay(kind, number) {
            uint256 paid = vault - usdc.balanceOf(address(custody));
            escapePaid += paid;
            if (beneficiary == address(pool)) poolIn += paid;
            payments++;
            return true;
        } catch {
            return false;
        }
    }

    // ── what the invariants ask ────────────────────────────────────────────────────────────────────────────────────

    function contracts()
        external
        view
        returns (TestUsdc, BatchChain, Custody, StakeRegistry, InsurancePool, Escape, address)
    {
        return (usdc, chain, custody, stakes, pool, escape, address(dispute));
    }

    function stakerAt(uint256 i) external view returns (address) {
        return i == 4 ? SEQUENCER : stakers[i];
    }

    function challenger() external view returns (address) {
        return users[0];
    }

    function finalHashOf(uint64 number) external view returns (bytes32) {
        return finalHashes[number];
    }

    function parentOf(uint64 number) external view returns (bytes32) {
        return postedBatch(number).header.parent;
    }

    function entryCount() external view returns (uint256) {
        return entries.length;
    }
}
