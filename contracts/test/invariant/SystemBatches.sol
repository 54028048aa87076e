// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StateRoots} from "../../src/custody/Custody.sol";
import {OutboxCell} from "../../src/custody/OutboxCell.sol";
import {CycleClaim, PreviousCycle, StateParts} from "../../src/dispute/IDispute.sol";
import {SystemFixture} from "../support/SystemFixture.sol";

/// @notice What anybody may do to the queue, the batches and the claims of a venue, hostile proposers, challengers and claimers
/// among them, with a naive account beside it.
abstract contract SystemBatches is SystemFixture {
    uint64 private constant NONE = type(uint64).max;

    /// @notice Number of the first batch of the chain that is a fraud.
    uint64 public firstFraud = NONE;
    mapping(uint64 number => uint64) private _floors;
    mapping(uint64 number => bytes32) internal finalHashes;
    mapping(uint32 withdrawal => uint256) public timesClaimed;
    mapping(uint64 number => uint256) public droppedBonds;
    uint64 public highestNumber;
    uint64 public lastFinalSeen;

    uint256 public deposited;
    uint256 public claimed;
    /// @dev Part of it that a wrong state promised.
    uint256 public stolen;
    uint256 public bondsIn;
    uint256 public bondsOut;
    /// @dev Of convictions, burnt and paid to challengers.
    uint256 public bondsSlashed;

    uint256 public posts;
    uint256 public frauds;
    uint256 public convictions;
    uint256 public lateConvictions;
    uint256 public proven;
    uint256 public acquittals;
    uint256 public claims;
    uint256 public finals;
    uint256 public refusedPosts;

    /// @dev The campaign calls whatever it can: what only the handler may call then does nothing.
    modifier onlyHandler() {
        if (msg.sender != address(this)) return;
        _;
    }

    // ── queue and time ─────────────────────────────────────────────────────────────────────────────────────────────

    function passTime(uint256 random) public {
        vm.warp(block.timestamp + random % (random % 16 == 0 ? 1 days : 20 minutes));
    }

    /// @notice A venue that does nothing for as long as a forced entry may wait.
    function stall(uint256 random) public {
        if (random % 32 == 0) vm.warp(block.timestamp + FORCED_PERIOD + 1);
    }

    function deposit(uint256 who, uint256 account, uint256 amount) public {
        if (custody.frozen()) return;
        address user = users[who % 3];
        // Accounts 1 to 4.
        uint24 number = 1 + uint24(account % 4);
        // Little for the insurance, or bad debt would never go beyond it.
        amount = 1 + amount % (number == 1 ? 1e8 : 1e10);
        fund(user, amount);
        vm.prank(user);
        custody.deposit(number, amount);
        entries.push(Entry(2, number, uint64(amount), user));
        deposited += amount;
    }

    function forceWithdrawal(uint256 who, uint256 amount) public {
        if (custody.frozen() || who % 4 != 0) return;
        uint24 account = 2 + uint24((who / 4) % 3);
        address owner = ownerInState[account];
        amount = 1 + amount % 1e10;
        vm.prank(owner);
        custody.forceWithdrawal(account, uint64(amount), owner);
        entries.push(Entry(6, account, uint64(amount), owner));
    }

    // ── posting ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice An honest batch: entries, a trade, a withdrawal, the waterfall. Whoever may not post is refused.
    function post(uint256 random) public {
        (bool isAllowed, address proposer) = poster(random);
        if (!isAllowed) return;
        step(random);
        submit(proposer, 1 + (random >> 8) % 3, HONEST);
    }

    /// @notice A batch of a state that gives the vault away, with one fault.
    function postFraud(uint256 random) public {
        if (random % 4 != 0) return;
        (bool isAllowed, address proposer) = poster(random >> 2);
        if (!isAllowed) return;
        step(random);
        uint256 vault = usdc.balanceOf(address(custody));
        if (random % 8 == 0 && vault > 0 && outboxInState.length < OUTBOX_MAX) {
            outboxInState.push(OutboxCell(2, 0, uint64(vault), uint64(block.chainid), THIEF));
        } else {
            cashInState[4] += int64(uint64(1 + vault));
        }
        frauds++;
        submit(proposer, 1 + (random >> 8) % 3, 1 + uint8((random >> 16) % 5));
    }

    /// @dev Loads the tip's state and moves it on by the rules.
    function step(uint256 random) private {
        load(chain.lastNumber());
        uint64 parentMs = chain.batch(chain.lastNumber()).timeMs;
        timeMsInState = uint64(block.timestamp) * 1000;
        if (parentMs > timeMsInState) timeMsInState = parentMs;
        consume(cursorInState + uint64((random >> 24) % (entries.length - cursorInState + 1)));
        uint24 from = 2 + uint24((random >> 32) % 3);
        uint24 to = 1 + uint24((random >> 40) % 4);
        int64 price = int64(uint64((random >> 48) % 8e9));
        // A trade at any price: the naive rule lets accounts fall into debt.
        cashInState[from] -= price;
        cashInState[to] += price;
        if ((random >> 80) % 2 == 0) bankruptcyInState(from);
        uint24 leaver = 2 + uint24((random >> 88) % 3);
        withdrawInState(leaver, uint64((random >> 96) % 1e10), ownerInState[leaver], (random >> 130) % 2 == 0);
    }

    /// @dev Whoever is tried and may post; the others must be refused.
    function poster(uint256 random) private returns (bool, address) {
        if (custody.frozen()) return (false, address(0));
        uint64 number = chain.lastNumber() + 1;
        for (uint256 i = 0; i < 4; ++i) {
            address staker = stakers[(random % 4 + i) % 4];
            if (stakes.mayPost(staker, number)) return (true, staker);
            if (i == 0) expectRefused(staker);
        }
        return (false, address(0));
    }

    function expectRefused(address staker) private {
        load(chain.lastNumber());
        timeMsInState = uint64(block.timestamp) * 1000;
        Posted memory posted = assemble(1, HONEST);
        vm.deal(staker, BOND);
        vm.prank(staker, staker);
        try chain.postBatch{value: BOND}(posted.header, dataOf(posted)) {
            vm.assertTrue(false, "posted out of turn");
        } catch {
            refusedPosts++;
        }
    }

    function submit(address proposer, uint256 count, uint8 fraud) private {
        Posted memory posted = assemble(count, fraud);
        uint64 number = posted.header.number;
        uint256 bond = BOND + uint256(posted.header.postStateRoot) % 1 ether;
        vm.deal(proposer, bond);
        vm.prank(proposer, proposer);
        chain.postBatch{value: bond}(posted.header, dataOf(posted));
        bondsIn += bond;
        droppedBonds[number] = 0;
        postedBytes[number] = abi.encode(posted);
        fraudOf[number] = fraud;
        save(number);
        _floors[number] = chain.batch(number).floor;
        if (number > highestNumber) highestNumber = number;
        if (fraud != HONEST && firstFraud == NONE) firstFraud = number;
        posts++;
    }

    // ── finality ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Finalises any pending batch if it is due. Before a fraud becomes final the watcher convicts it, unless he
    /// sleeps, which he seldom does.
    function finalise(uint256 random) public {
        uint64 next = chain.lastFinal() + 1;
        uint64 last = chain.lastNumber();
        if (last < next) return;
        uint64 number = random % 4 == 0 ? next + uint64((random / 4) % (last - next + 1)) : next;
        if (fraudOf[number] != HONEST && (random >> 128) % 16 != 0) return convict(number);
        uint64 provenAt = chain.batch(number).provenAt;
        uint64 due = chain.batch(number).floor;
        if (provenAt != 0 && provenAt + GUARD < due) due = provenAt + GUARD;
        bool isDue = number == next && block.timestamp >= due;
        try chain.finalise(number) {
            vm.assertTrue(isDue, "final before its time or its parent");
            finalHashes[number] = chain.batch(number).batchHash;
            lastFinalSeen = number;
            finals++;
        } catch {
            vm.assertFalse(isDue);
        }
    }

    function poke(uint256 random) public {
        uint64 count = chain.lastNumber() - chain.lastFinal();
        if (count == 0) return;
        uint64 number = chain.lastFinal() + 1 + uint64(random % count);
        chain.poke(number);
        uint64 floor = chain.batch(number).floor;
        vm.assertGe(floor, _floors[number], "a floor moved down");
        _floors[number] = floor;
    }

    // ── challenges ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Any face against any batch: only the face that shows a batch's own fault convicts.
    function challenge(uint256 random) public {
        uint64 last = chain.lastNumber();
        if (last == 0) return;
        uint64 number = 1 + uint64((random >> 8) % last);
        uint8 face = uint8(random % 3);
        // What does not decode is wrong at every account too.
        bool isShown = face == faceOf(fraudOf[number]) || (fraudOf[number] == FRAUD_MALFORMED && face == 1);
        isShown = isShown && !dispute.isConvicted(number);
        // Pending frauds are the watcher's, or none would ever be final.
        if (isShown && (number > chain.lastFinal() ? (random >> 16) % 8 != 0 : (random >> 16) % 4 != 0)) return;
        if (isShown) return convict(number);
        load(number);
        try this.accuse(number, face, (random >> 24) % 1200) {
            vm.assertTrue(false, "convicted without its fault");
        } catch {
            acquittals++;
        }
    }

    function faceOf(uint8 fraud) private pure returns (uint8) {
        if (fraud == FRAUD_ACCOUNT) return 1;
        if (fraud == FRAUD_HEADER) return 2;
        return fraud == HONEST ? 3 : 0;
    }

    /// @dev Through the dispute contract, as the challenger that `msg.sender` of this call is not.
    function accuse(uint64 number, uint8 face, uint256 account) external onlyHandler {
        Posted memory posted = postedBatch(number);
        uint256 index = posted.payloads.length - 1;
        (CycleClaim memory cycle, PreviousCycle memory previous) = claimOf(posted, index);
        StateParts memory state = stateParts();
        vm.prank(users[0]);
        if (face == 0) dispute.challengeRoot(posted.header, cycle, previous, "");
        else if (face == 1) dispute.challengeAccount(posted.header, cycle, previous, account, "");
        else dispute.challengeHeader(posted.header, state);
    }

    function convict(uint64 number) internal {
        bool isLate = number <= chain.lastFinal();
        uint64 last = chain.lastNumber();
        uint256 bond = chain.batch(number).bond;
        if (!isLate) {
            for (uint64 i = number + 1; i <= last; ++i) {
                droppedBonds[i] = chain.batch(i).bond;
            }
        }
        uint256 reward = users[0].balance;
        uint256 burnt = BURN.balance;
        address proposer = chain.batch(number).proposer;
        uint256 stake = stakes.stakeOf(proposer);
        load(number);
        this.accuse(number, faceOf(fraudOf[number]), 1000);
        vm.assertEq(stake - stakes.stakeOf(proposer), stake < STAKE ? stake : STAKE, "slash");
        if (isLate) {
            vm.assertTrue(custody.frozen() && escape.isFrozen(), "a late fraud freezes");
            lateConvictions++;
            return;
        }
        vm.assertEq(users[0].balance - reward, bond / 2, "reward");
        vm.assertEq(BURN.balance - burnt, bond - bond / 2, "burnt");
        vm.assertEq(chain.lastNumber(), number - 1);
        bondsSlashed += bond;
        if (firstFraud >= number) firstFraud = NONE;
        convictions++;
    }

    /// @notice Has a batch proven right: all of it passes or nothing does.
    function affirm(uint256 random) public {
        uint64 count = chain.lastNumber() - chain.lastFinal();
        if (count == 0) return;
        uint64 number = chain.lastFinal() + 1 + uint64(random % count);
        if (chain.batch(number).provenAt != 0) return;
        load(number);
        (bool isProven,) = address(this).call(abi.encodeCall(this.affirmAll, (number)));
        vm.assertTrue(isProven == (fraudOf[number] == HONEST), "proven");
        if (isProven) proven++;
    }

    function affirmAll(uint64 number) external onlyHandler {
        Posted memory posted = postedBatch(number);
        for (uint256 i = 0; i < posted.payloads.length; ++i) {
            (CycleClaim memory cycle, PreviousCycle memory previous) = claimOf(posted, i);
            affirmation.affirmCycle(posted.header, cycle, previous, "");
            uint256 accounts = (posted.payloads[i].length - 35) / 4;
            for (uint256 j = 0; j < accounts; ++j) {
                affirmation.affirmAccount(posted.header, cycle, previous, j, "");
            }
        }
        affirmation.affirmHeader(posted.header, stateParts());
        affirmation.conclude(posted.header);
    }

    // ── bonds and claims ───────────────────────────────────────────────────────────────────────────────────────────

    function reclaimBond(uint256 random) public {
        if (highestNumber == 0) return;
        uint64 number = 1 + uint64(random % highestNumber);
        try chain.reclaimBond(number) {
            vm.assertTrue(droppedBonds[number] > 0, "a bond reclaimed that was not dropped");
            droppedBonds[number] = 0;
        } catch {
            vm.assertEq(droppedBonds[number], 0);
        }
    }

    function withdrawBond(uint256 random) public {
        address account = stakers[random % 4];
        uint256 credit = chain.bondCredit(account);
        if (credit == 0) return;
        uint256 balance = account.balance;
        vm.prank(account);
        chain.withdrawBond();
        vm.assertEq(account.balance, balance + credit);
        bondsOut += credit;
    }

    /// @notice Any withdrawal under any batch, twice: only a final one pays, once, and a frozen vault never.
    function claim(uint256 random) public {
        uint64 number = random % 4 == 0 ? uint64((random >> 8) % (chain.lastNumber() + 1)) : chain.lastFinal();
        uint256 count = outboxes[number].length;
        if (count == 0) return;
        uint32 withdrawal = uint32((random >> 16) % count);
        tryClaim(number, withdrawal);
        tryClaim(number, withdrawal);
    }

    function tryClaim(uint64 number, uint32 withdrawal) private {
        load(number);
        StateParts memory parts = stateParts();
        StateRoots memory roots = StateRoots(
            parts.accountsRoot, parts.instrumentsRoot, parts.underlyingsRoot, parts.outboxRoot, keccak256(parts.globals)
        );
        OutboxCell memory cell = outboxInState[withdrawal];
        uint256 vault = usdc.balanceOf(address(custody));
        bool isDue = number <= chain.lastFinal() && timesClaimed[withdrawal] == 0 && !custody.frozen();
        try custody.claim(number, roots, withdrawal, cell, outboxPath(withdrawal)) {
            vm.assertTrue(isDue, "paid what was not claimable");
            timesClaimed[withdrawal]++;
            claimed += cell.amount;
            // What the sound state before the fraud owes too is nobody's loss.
            if (number >= firstFraud && withdrawal >= outboxes[firstFraud - 1].length) stolen += cell.amount;
            claims++;
        } catch {
            // A wrong state may promise more than there is.
            vm.assertTrue(!isDue || (number >= firstFraud && cell.amount > vault));
        }
    }

    // ── what the invariants ask ────────────────────────────────────────────────────────────────────────────────────

    /// @notice Last batch that neither is a fraud nor stands on one.
    function soundTip() public view returns (uint64) {
        uint64 last = chain.lastNumber();
        return firstFraud > last ? last : firstFraud - 1;
    }

    function floorOf(uint64 number) external view returns (uint64) {
        return _floors[number];
    }

    /// @notice What the ledger owes after the sound tip: cash, unclaimed outbox, unconsumed deposits.
    function liabilities() external view returns (uint256) {
        uint64 tip = soundTip();
        int256 owed = 0;
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            owed += views[tip].cash[i];
        }
        OutboxCell[] storage cells = outboxes[tip];
        for (uint32 i = 0; i < cells.length; ++i) {
            if (timesClaimed[i] == 0) owed += int256(uint256(cells[i].amount));
        }
        for (uint256 i = views[tip].cursor; i < entries.length; ++i) {
            if (entries[i].kind == 2) owed += int256(uint256(entries[i].amount));
        }
        vm.assertTrue(owed >= 0, "owed");
        return uint256(owed);
    }

    /// @notice What could be claimed now under the last final state that is no fraud.
    function claimableNow() external view returns (uint256 sum) {
        uint64 number = chain.lastFinal() < soundTip() ? chain.lastFinal() : soundTip();
        OutboxCell[] storage cells = outboxes[number];
        for (uint32 i = 0; i < cells.length; ++i) {
            if (timesClaimed[i] == 0) sum += cells[i].amount;
        }
    }
}
