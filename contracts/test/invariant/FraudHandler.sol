// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Batch} from "../../src/chain/IBatchChain.sol";
import {CycleClaim, PreviousCycle, StateParts} from "../../src/dispute/IDispute.sol";
import {FraudFixture} from "../support/FraudFixture.sol";

/// @notice A proposer that is honest or not, challengers and affirmers that are right or not, and time, around the real chain, dispute
/// and affirmation contracts. The rules are scripted, so the handler knows which batches are right. Every action also tries
/// what must fail.
contract FraudHandler is FraudFixture {
    address private constant CHALLENGER = address(0xC4A1);
    uint256 private constant CYCLES = 3;

    /// @notice What the handler knows of the batch that a number holds.
    struct Known {
        bool isRight;
        /// @dev Cycle whose execution is refused or whose root is forged, or whose account is at fault; CYCLES = the header.
        uint256 faultyCycle;
        bool isFaultOfAccount;
        uint64 floor;
        Posted posted;
        StateParts state;
    }

    mapping(uint64 number => Known) private _known;
    mapping(uint64 number => bytes32) public finalRootOf;
    uint256 public bondsIn;
    uint256 public finalised;
    uint256 public finalByProof;
    uint256 public convictions;
    uint256 public lateConvictions;
    uint256 public proofs;
    uint256 public wrongFinal;
    uint256 public affirmed;
    /// @dev Bonds of descendants of convicted batches, until their proposer takes them back.
    mapping(uint64 number => uint256) public droppedBond;
    uint64 public highestNumber;

    constructor() {
        deployFraud(true);
    }

    // ── proposer ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice `fault`: right, a forged root, a refused cycle, a wrong account, a wrong header.
    function post(uint256 fault, uint256 salt, uint256 bond) public {
        fault %= 5;
        uint256 faulty = salt % CYCLES;
        (Posted memory posted, StateParts memory state) = rightBatch(CYCLES);
        posted.payloads[0] = bytes.concat(posted.payloads[0], bytes3(uint24(500 + salt % 99)), hex"00");
        // The last cycle's root is given by its payload: a forged one is of another cycle.
        if (fault == 1) faulty = salt % (CYCLES - 1);
        if (fault == 2) posted.payloads[faulty][2] = 0x0c;
        if (fault == 3) {
            posted.payloads[faulty] = bytes.concat(posted.payloads[faulty], bytes3(uint24(999)), hex"0d");
        }
        posted = build(posted.payloads, fault == 1 ? faulty : CYCLES);
        if (fault == 4) posted.header.timeMs -= 1;
        uint64 number = posted.header.number;
        if (posted.header.timeMs < chain.batch(number - 1).timeMs) return;
        bond = BOND + bond % 1 ether;
        vm.deal(PROPOSER, bond);
        vm.prank(PROPOSER, PROPOSER);
        chain.postBatch{value: bond}(posted.header, dataOf(posted));
        bondsIn += bond;
        droppedBond[number] = 0;
        if (number > highestNumber) highestNumber = number;
        Known storage known = _known[number];
        known.isRight = fault == 0;
        known.faultyCycle = fault == 4 ? CYCLES : faulty;
        known.isFaultOfAccount = fault == 3;
        known.floor = chain.batch(number).floor;
        known.posted = posted;
        known.state = state;
    }

    // ── affirmers ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Affirms one piece of a pending batch: refused when it is the wrong one, or there already.
    function affirm(uint256 which, uint256 cycle, uint256 piece) public {
        uint64 number = pending(which);
        if (number == 0) return;
        affirmPiece(number, cycle % (CYCLES + 1), piece);
    }

    /// @notice Affirms whatever can be affirmed, and concludes: only right batches get there.
    function affirmAll(uint256 which) public {
        uint64 number = pending(which);
        if (number == 0) return;
        for (uint256 cycle = 0; cycle <= CYCLES; ++cycle) {
            for (uint256 piece = 0; piece < 5; ++piece) {
                affirmPiece(number, cycle, piece);
            }
        }
        conclude(which);
        vm.assertTrue((chain.batch(number).provenAt != 0) == _known[number].isRight, "affirmed as a whole");
    }

    function affirmPiece(uint64 number, uint256 cycle, uint256 piece) private {
        Known storage known = _known[number];
        Posted memory posted = known.posted;
        if (cycle == CYCLES) {
            try affirmation.affirmHeader(posted.header, known.state) {
                vm.assertTrue(known.isRight || known.faultyCycle != CYCLES, "a wrong header");
                affirmed++;
            } catch {}
            return;
        }
        (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, cycle);
        bool isFaulty = !known.isRight && known.faultyCycle == cycle;
        if (piece == 0) {
            try affirmation.affirmCycle(posted.header, claim, previous, "") {
                vm.assertFalse(isFaulty && !known.isFaultOfAccount);
                affirmed++;
            } catch {}
            return;
        }
        uint256 accounts = (posted.payloads[cycle].length - 35) / 4;
        try affirmation.affirmAccount(posted.header, claim, previous, piece - 1, "") {
            vm.assertTrue(piece <= accounts, "no such account");
            // The account at fault is the last one.
            vm.assertFalse(isFaulty && known.isFaultOfAccount && piece == accounts);
            affirmed++;
        } catch {}
    }

    function conclude(uint256 which) public {
        uint64 number = pending(which);
        if (number == 0) return;
        try affirmation.conclude(_known[number].posted.header) {
            vm.assertTrue(_known[number].isRight, "a wrong batch was proven");
            proofs++;
        } catch {}
    }

    // ── challengers ────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Names the fault of a wrong batch: convicted whenever that is. Rare, or nothing wrong would ever be final.
    function convict(uint256 which) public {
        if (which % 3 != 0) return;
        challengeAt(anyNumber(which / 3), type(uint256).max);
    }

    /// @notice Names a fault that may not be there.
    function accuse(uint256 which, uint256 cycle) public {
        challengeAt(anyNumber(which), cycle % (CYCLES + 1));
    }

    /// @dev `cycle` max = the one at fault.
    function challengeAt(uint64 number, uint256 cycle) private {
        if (number == 0) return;
        Known storage known = _known[number];
        bool isAimed = cycle == type(uint256).max;
        if (isAimed) cycle = known.faultyCycle;
        bool isFinal = number <= chain.lastFinal();
        bool isAgain = isFinal && dispute.isConvicted(number);
        uint64 last = chain.lastNumber();
        uint256 bond = chain.batch(number).bond;
        for (uint64 i = number + 1; i <= last; ++i) {
            if (!isFinal) droppedBond[i] = chain.batch(i).bond;
        }
        bool succeeded = challenge(known, cycle, isAimed);
        if (isAimed) vm.assertTrue(succeeded == (!known.isRight && !isAgain), "a fault that is shown convicts, once");
        else if (known.isRight) vm.assertFalse(succeeded);
        if (!succeeded) {
            for (uint64 i = number + 1; i <= last; ++i) {
                droppedBond[i] = 0;
            }
            return;
        }
        if (isFinal) {
            lateConvictions++;
            return;
        }
        convictions++;
        vm.assertEq(chain.lastNumber(), number - 1);
        vm.assertEq(address(dispute).balance, 0);
        vm.assertTrue(bond >= BOND, "bond");
    }

    function challenge(Known storage known, uint256 cycle, bool isAimed) private returns (bool) {
        Posted memory posted = known.posted;
        vm.startPrank(CHALLENGER);
        bytes memory call;
        if (cycle == CYCLES) {
            call = abi.encodeCall(dispute.challengeHeader, (posted.header, known.state));
        } else {
            (CycleClaim memory claim, PreviousCycle memory previous) = claimOf(posted, cycle);
            call = isAimed && known.isFaultOfAccount
                ? abi.encodeCall(dispute.challengeAccount, (posted.header, claim, previous, 999, ""))
                : abi.encodeCall(dispute.challengeRoot, (posted.header, claim, previous, ""));
        }
        (bool succeeded,) = address(dispute).call(call);
        vm.stopPrank();
        return succeeded;
    }

    // ── time and the rest ──────────────────────────────────────────────────────────────────────────────────────────

    function passTime(uint256 seconds_) public {
        vm.warp(block.timestamp + seconds_ % 30 minutes);
    }

    function finalise(uint256 which) public {
        uint64 next = chain.lastFinal() + 1;
        uint64 last = chain.lastNumber();
        if (last < next) return;
        uint64 number = next + uint64(which % (last - next + 1));
        Batch memory record = chain.batch(number);
        bool guarded = record.provenAt != 0 && block.timestamp >= record.provenAt + GUARD;
        bool isDue = number == next && (guarded || block.timestamp >= record.floor);
        try chain.finalise(number) {
            vm.assertTrue(isDue, "final too early");
            finalRootOf[number] = record.postStateRoot;
            finalised++;
            if (block.timestamp < record.floor) {
                vm.assertTrue(_known[number].isRight, "a wrong batch took the short way");
                finalByProof++;
            }
            if (!_known[number].isRight) wrongFinal++;
        } catch {
            vm.assertFalse(isDue);
        }
    }

    function reclaimBond(uint256 which) public {
        if (highestNumber == 0) return;
        uint64 number = 1 + uint64(which % highestNumber);
        try chain.reclaimBond(number) {
            vm.assertTrue(droppedBond[number] > 0, "a bond that nobody dropped");
            droppedBond[number] = 0;
        } catch {}
    }

    // ── what the invariants ask ────────────────────────────────────────────────────────────────────────────────────

    function isRight(uint64 number) external view returns (bool) {
        return _known[number].isRight;
    }

    function floorOf(uint64 number) external view returns (uint64) {
        return _known[number].floor;
    }

    function theChain() external view returns (address) {
        return address(chain);
    }

    function slashes() external view returns (uint256) {
        return registry.count();
    }

    function freezes() external view returns (uint256) {
        return escapeContract.count();
    }

    function rewards() external view returns (uint256) {
        return CHALLENGER.balance;
    }

    function pending(uint256 which) private view returns (uint64) {
        uint64 lastFinal = chain.lastFinal();
        uint64 count = chain.lastNumber() - lastFinal;
        return count == 0 ? 0 : lastFinal + 1 + uint64(which % count);
    }

    function anyNumber(uint256 which) private view returns (uint64) {
        uint64 count = chain.lastNumber();
        return count == 0 ? 0 : 1 + uint64(which % count);
    }
}
